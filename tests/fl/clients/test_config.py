"""Settings of clients: every broken rule is found, with its key."""

import pytest

from fl.clients.config import ClientsConfig, DeviceFileConfig, classes_of, find_problems
from fl.clients.device_class import DeviceConfig
from fl.clients.frequency import DvfsConfig
from fl.clients.throttling import TwoStateThrottling

FIGURES = {"sustained_flop_per_s": 6e10, "compute_w": 4.2, "memory_bytes": 3e9}


def problems(devices):
    config = ClientsConfig(num_clients=3, devices=devices)
    return {problem.path[1:]: problem.message for problem in find_problems(config)}


def own(**figures):
    return DeviceConfig(**{"share": 1.0, **FIGURES, **figures})


def test_every_problem_of_shares_is_found():
    found = problems({"phone_mid": 0.5, "toaster": 0.25, "laptop": 0.0})
    assert "must be one of phone_low, " in found["devices", "toaster"]
    assert "no effect" in found["devices", "laptop"]
    assert "sum to 1, got 0.75" in found["devices",]
    assert problems({"laptop": 1.0}) == {}


@pytest.mark.parametrize(
    ("name", "figures", "key", "message"),
    [
        ("mine", {"low_flop_per_s": 7e10}, "low_flop_per_s", "must be <= sustained_flop_per_s"),
        ("mine", {"high_flop_per_s": 5e10}, "high_flop_per_s", "must be >= sustained_flop_per_s"),
        (
            "mine",
            {"low_bandwidth_bytes_per_s": 5e10},
            "low_bandwidth_bytes_per_s",
            "no effect without memory_bandwidth",
        ),
        ("mine", {"fp16_low_flop_per_s": 5e10}, "fp16_low_flop_per_s", "no effect without fp16_"),
        ("mine", {"low_w": 5.0}, "low_w", "must be <= compute_w = 4.2, got 5"),
        ("laptop", {}, None, "is a built-in class"),
        ("my phone", {}, None, "a name must be 1 to 100 letters"),
    ],
)
def test_figures_of_ones_own_that_contradict_each_other_are_refused(name, figures, key, message):
    ((path, text),) = problems({name: own(**figures)}).items()
    assert path == ("devices", name, *([key] if key else []))
    assert message in text


def test_classes_have_the_order_of_the_table_whatever_the_scenario_says():
    shares = {"zebra": own(share=0.2), "laptop": 0.3, "apple": own(share=0.1), "phone_mid": 0.4}
    found = classes_of(ClientsConfig(num_clients=3, devices=shares))
    assert list(found) == ["phone_mid", "laptop", "apple", "zebra"]
    assert [share for _, share in found.values()] == [0.4, 0.3, 0.1, 0.2]


def test_a_file_of_devices_is_held_to_the_same_rules(tmp_path):
    path = tmp_path / "phones.csv"
    assert "must be a file" in problems(DeviceFileConfig(path=str(path)))["devices", "path"]
    header = "name,share,sustained_flop_per_s,compute_w,memory_bytes,low_w\n"
    path.write_text(f"{header}a,0.5,6e10,4,3e9,\nb,0.3,6e10,4,3e9,5\n")
    found = find_problems(ClientsConfig(num_clients=3, devices=DeviceFileConfig(path=str(path))))
    assert {each.path for each in found} == {("clients", "devices", "path")}
    assert [each.message for each in found] == [
        "b: low_w: must be <= compute_w = 4, got 5",
        "shares must sum to 1, got 0.8",
    ]


def test_a_speed_that_is_not_known_in_the_precision_of_the_clients_is_asked_for():
    for precision in ("fp16", "int8"):
        config = ClientsConfig(num_clients=3, devices={"mine": own()}, precision=precision)
        ((path, text),) = [(each.path, each.message) for each in find_problems(config)]
        assert path == ("clients", "devices", "mine", "fp16_flop_per_s")
        assert text == f"missing; it is needed where clients.precision is {precision}"
    known = ClientsConfig(
        num_clients=3, devices={"mine": own(fp16_flop_per_s=9e10)}, precision="fp16"
    )
    assert find_problems(known) == []


def test_frequency_and_throttling_are_not_combined():
    config = ClientsConfig(
        num_clients=3,
        devices={"laptop": 1.0},
        dvfs=DvfsConfig(frequency_fraction=0.5),
        throttling=TwoStateThrottling(cool_factor=2.0, cool_s=60.0),
    )
    ((path, text),) = [(each.path, each.message) for each in find_problems(config)]
    assert path == ("clients", "throttling")
    assert "has no place beside dvfs" in text
