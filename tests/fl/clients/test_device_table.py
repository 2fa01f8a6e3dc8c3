"""Tables of devices: the built-in classes against their evidence, and files of a user's own."""

import pytest

from fl.clients.device_table import DEVICES, read_device_file

HEADER = "name,share,sustained_flop_per_s,compute_w,memory_bytes"


@pytest.fixture
def table(tmp_path):
    """Write a file and read it."""

    def read(text):
        path = tmp_path / "phones.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_device_file(str(path))

    return read


def test_the_table_is_complete_and_says_where_its_figures_come_from():
    assert len(DEVICES) == 10
    for name, device in DEVICES.items():
        assert device.name == name
        for speed in (device.fp32, device.fp16):
            assert 0 < speed.low_flop_per_s <= speed.flop_per_s <= speed.high_flop_per_s
        low_w, high_w = device.power_range_w
        assert 0 < low_w <= device.compute_w <= high_w
        slow, fast = device.low_bandwidth_bytes_per_s, device.high_bandwidth_bytes_per_s
        assert 0 < slow <= device.memory_bandwidth_bytes_per_s <= fast
        assert "bandwidth" in device.source
        assert any(word in device.source for word in ("measured", "derived", "our choice"))


def test_measured_jobs_lie_within_the_ranges_of_their_class():
    """LoRA takes 4 operations a weight and token: 100 rounds of 8 steps of 8 x 64 tokens take 47 h
    on a Snapdragon 778G, 10.4 to 14.1 s a step of 8 x 64 tokens on a Jetson Nano (Gemma3-270M), and
    19 to 21 s for 128 tokens on an Adreno 830 (Qwen3-1.7B)."""
    weights = {"gemma": 268e6, "qwen": 1.72e9}
    tokens = 8 * 64
    mid = 4 * weights["gemma"] * tokens / 170.0
    assert mid == pytest.approx(DEVICES["phone_mid"].low_flop_per_s, rel=0.02)
    for step_s in (10.4, 14.1):
        nano = 4 * weights["gemma"] * tokens / step_s
        assert DEVICES["jetson_nano"].low_flop_per_s <= nano * 1.01
        assert nano <= DEVICES["jetson_nano"].high_flop_per_s
    gpu = 4 * weights["qwen"] * 128 / 21.0
    assert gpu == pytest.approx(DEVICES["phone_high_gpu"].fp16_flop_per_s, rel=0.02)


def test_measured_decode_speeds_lie_within_the_bandwidths_of_their_class():
    """Tokens a second of one text times the bytes of all weights: Llama-3.2-1B in bf16 on a
    Snapdragon 8 Gen 3, in fp16 on an Adreno 830; five precisions of one model on a Raspberry Pi 5;
    a 3B model in 16 bits on an AGX Orin, which reads no embeddings."""
    llama = 2 * 1_235_814_400
    for name, bytes_per_s in (
        ("phone_high", 19.2 * llama),
        ("phone_high_gpu", 21.88 * llama),
        ("raspberry_pi_5", 30.39 * 0.339e9),
        ("raspberry_pi_5", 19.87 * 0.531e9),
        ("jetson_agx_orin", 27.2 * 2 * 3.09e9),
    ):
        device = DEVICES[name]
        assert device.low_bandwidth_bytes_per_s <= bytes_per_s
        assert bytes_per_s <= device.high_bandwidth_bytes_per_s


def test_a_file_is_read_with_remarks_blank_lines_and_empty_cells(table):
    rows = "\nold,0.5,2e9,2.5,1e9,\n# spare\nnew,0.5,3e10,4,4e9,19"
    found = table(f"# of my drawer\n{HEADER},battery_wh\n{rows}")
    assert list(found) == ["old", "new"]
    assert (found["old"].sustained_flop_per_s, found["old"].battery_wh) == (2e9, None)
    assert (found["new"].share, found["new"].battery_wh) == (0.5, 19.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a header and 1 to 10000 classes"),
        (HEADER, "must have a header and 1 to 10000 classes"),
        (f"{HEADER},speed\n", "must have a header"),
        (f"{HEADER},batery_wh\na,1,1e9,1,1e9,3", "unknown column 'batery_wh'; did you mean 'batte"),
        ("name,share\na,1", "lacks the column sustained_flop_per_s, compute_w, memory_bytes"),
        (f"{HEADER},share\na,1,1e9,1,1e9,1", "must not have a column twice"),
        (
            f"#\n{HEADER}\na,1,fast,1,1e9",
            "line 3: sustained_flop_per_s: must be a number, got 'fast'",
        ),
        (f"{HEADER}\na,1,nan,1,1e9", "line 2: sustained_flop_per_s: must be a number, got 'nan'"),
        (f"{HEADER}\na,1,,1,1e9", "line 2: sustained_flop_per_s: must be a number, got an empty"),
        (f"{HEADER}\na,1,60,1,1e9", "line 2: sustained_flop_per_s: must be >= 1e+06, got 60"),
        (f"{HEADER}\na,1,1e9,1,3", "line 2: memory_bytes: must be >= 1e+06, got 3"),
        (f"{HEADER}\na,0,1e9,1,1e9", "line 2: share: must be > 0, got 0"),
        (f"{HEADER}\na,1,1e9,1e6,1e9", "line 2: compute_w: must be <= 10000, got 1e+06"),
        (f"{HEADER}\na,1,1e9,1", "line 2: must have 5 cells, got 4"),
        (f"{HEADER}\na,.5,1e9,1,1e9\na,.5,1e9,1,1e9", "line 3: name: must differ, got 'a' again"),
        (f'{HEADER}\n"a,1,1e9,1,1e9', "line 2: unexpected end of data"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (f"{HEADER}\na\0,1,1e9,1,1e9", "holds null characters"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_its_place(table, text, message):
    with pytest.raises(ValueError, match=r"devices .*phones\.csv: ") as caught:
        table(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
