"""Labels of logarithmic axes are round numbers, as many as there is room for."""

import pytest
from matplotlib.figure import Figure

from analysis.log_axis import label_log_x, use_log_x


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((40.0, 4000.0), ["100", "1000"]),
        ((12.0, 90.0), ["20", "50"]),
        ((5.0, 90.0), ["10", "30"]),
        ((1e-5, 1e3), ["10⁻⁵", "0.01", "10"]),
    ],
)
def test_a_narrow_panel_labels_few_numbers(ends, labels):
    ax = Figure().subplots()
    use_log_x(ax)
    ax.set_xlim(ends)
    label_log_x(ax, *ends, most=3)
    assert [each.get_text() for each in ax.get_xticklabels()] == labels
