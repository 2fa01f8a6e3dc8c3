"""Memory of a job by precision."""

import pytest

from fl.clients.precision import job_memory_bytes


@pytest.mark.parametrize(
    ("precision", "bytes_by_hand"),
    [("fp32", 400 + 48 + 1000), ("fp16", 200 + 48 + 500), ("int8", 100 + 48 + 500)],
)
def test_frozen_weights_shrink_activations_too_and_what_is_trained_does_not(
    precision, bytes_by_hand
):
    """100 frozen weights, 3 trained ones with gradient and two moments, 250 activations."""
    found = job_memory_bytes(
        precision, frozen_bytes=400, trained_bytes=3 * 4 * 4, activation_bytes=1000
    )
    assert found == bytes_by_hand
