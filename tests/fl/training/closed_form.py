"""Matrix-product operations of a step with LoRA on query and value, by hand."""


def lora_step_flop(*, batch_size, num_tokens, hidden, feed_forward, layers, rank, num_classes):
    """Two a multiply-add; B texts of T tokens, width d, feed-forward f, rank r.

    Forward a layer: four projections 8BTd^2, scores and context 4BT^2 d, feed-forward 4BTdf, two
    LoRAs 8BTdr. Backward: the same for inputs (attention twice: both factors), nothing for frozen
    weights, LoRA 16BTdr. In the first layer the input needs no gradient: query, key and value
    projections propagate nothing, the key gets none (2BT^2 d less), LoRA saves dx of both (4BTdr).
    The head is trained: 2BdC forward, 4BdC backward.
    """
    texts, tokens = batch_size * num_tokens, num_tokens
    projections, attention = 8 * texts * hidden**2, 4 * texts * tokens * hidden
    dense, lora = 4 * texts * hidden * feed_forward, 8 * texts * hidden * rank
    forward = layers * (projections + attention + dense + lora)
    backward = layers * (projections + 2 * attention + dense + 2 * lora)
    first = 6 * texts * hidden**2 + 2 * texts * tokens * hidden + 4 * texts * hidden * rank
    return forward + backward - first + 6 * batch_size * hidden * num_classes


def llama_weights(*, hidden, feed_forward, layers, heads, kv_heads, vocabulary):
    """Weights in products: queries and output, keys and values of fewer heads, gate, up, down."""
    narrow = hidden * kv_heads // heads
    return layers * hidden * (2 * hidden + 2 * narrow + 3 * feed_forward) + hidden * vocabulary


def llama_decode_flop(*, hidden, feed_forward, layers, heads, kv_heads, vocabulary, **shape):
    """Two operations a weight and text; for each key, its score and its value in every head."""
    weights = llama_weights(
        hidden=hidden, feed_forward=feed_forward, layers=layers, heads=heads, kv_heads=kv_heads,
        vocabulary=vocabulary,
    )  # fmt: skip
    attention = layers * 2 * hidden * shape["num_keys"]
    return 2 * shape["batch_size"] * (weights + attention)


def llama_cache_bytes(*, hidden, layers, heads, kv_heads, batch_size, num_keys, feed_forward=0):
    """Keys and values: 2 x layers x heads of keys x width of a head x tokens x 4 bytes."""
    del feed_forward
    return 2 * layers * kv_heads * (hidden // heads) * num_keys * batch_size * 4
