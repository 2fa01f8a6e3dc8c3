"""Virtual tokens before every text: vectors that stand where token embeddings stand.

Lester et al., The Power of Scale for Parameter-Efficient Prompt Tuning, arXiv:2104.08691
[recollected]. What follows the encoder sees the text alone: the virtual tokens' own hidden states
are cut off, so pooling neither counts them nor takes them for the first token. As in peft, they
take the first positions and the text moves behind them.
"""

from typing import Any

import torch
import transformers
from torch import nn
from torch.nn import functional


class PromptedEncoder(nn.Module):
    """An encoder that reads learned vectors before the text.

    Parameters
    ----------
    base_layer
        Encoder that takes ``inputs_embeds``, as those of transformers do.
    prompt
        First values of the vectors, shape ``(virtual token, width of token embeddings)``.
    """

    reads_by_text = True
    """In a pass of several clients' texts, vectors of each text may stand in place of ``prompt``,
    shape ``(text, virtual token, width)``."""

    def __init__(self, base_layer: transformers.PreTrainedModel, prompt: torch.Tensor) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.prompt = nn.Parameter(prompt)

    @property
    def config(self) -> transformers.PretrainedConfig:
        """Settings of the encoder."""
        return self.base_layer.config

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        **settings: Any,  # noqa: ANN401 -- each architecture has its own
    ) -> Any:  # noqa: ANN401 -- and an output class
        """Encode a batch; the last hidden states given are those of the text's tokens.

        With a cache of keys and values, the virtual tokens are read in the first pass only: they
        are in the cache from then on.

        Parameters
        ----------
        input_ids
            Shape ``(text, token)``.
        attention_mask
            Same shape, 1 for the text and 0 for padding; ``None`` hides nothing.
        token_type_ids
            Same shape, which text of a pair a token belongs to; virtual tokens to the first.
        settings
            Passed on; no ``inputs_embeds``, which are made here. ``position_ids`` are those of the
            text and count from 0.
        """
        num_virtual = self.prompt.shape[-2]
        settings.pop("inputs_embeds", None)  # a causal model passes on that it has none
        embeds = self.base_layer.get_input_embeddings()(input_ids)
        cache = settings.get("past_key_values")
        num_put = num_virtual if cache is None or cache.get_seq_length() == 0 else 0
        if num_put:
            embeds = torch.cat([self.prompt.expand(len(embeds), -1, -1), embeds], dim=1)
        positions = settings.get("position_ids")
        if positions is not None:
            first = torch.arange(num_put, device=positions.device).expand(len(positions), -1)
            settings["position_ids"] = torch.cat([first, positions + num_virtual], dim=1)
        if attention_mask is not None:
            attention_mask = functional.pad(attention_mask, (num_virtual, 0), value=1)
        if token_type_ids is not None:
            settings["token_type_ids"] = functional.pad(token_type_ids, (num_put, 0))
        output = self.base_layer(inputs_embeds=embeds, attention_mask=attention_mask, **settings)
        output.last_hidden_state = output.last_hidden_state[:, num_put:]
        return output


def add_prompt(module: nn.Module, *, num_tokens: int, generator: torch.Generator) -> list[str]:
    """Put virtual tokens before every text that a module's ``encoder`` reads, in place.

    Parameters
    ----------
    module
        Model with an ``encoder``; its parameters keep their values (their names gain
        ``base_layer``).
    num_tokens
        Virtual tokens, at least 1.
    generator
        Draws the token of the vocabulary at whose embedding each starts; different ones as long as
        there are enough.

    Returns
    -------
    list of str
        The name of the added parameter: ``q d`` numbers, ``d`` the width of token embeddings.
    """
    encoder: transformers.PreTrainedModel = module.encoder  # type: ignore[assignment]
    words = encoder.get_input_embeddings()
    weight: torch.Tensor = words.weight  # type: ignore[assignment]
    vocabulary_size, device = len(weight), weight.device
    drawn = torch.randperm(vocabulary_size, generator=generator)
    rows = drawn[torch.arange(num_tokens) % vocabulary_size].to(device)
    # Through the layer: some scale what they look up.
    with torch.no_grad():
        module.encoder = PromptedEncoder(encoder, words(rows))
    return ["encoder.prompt"]
