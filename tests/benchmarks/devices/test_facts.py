"""Machines made of files: what the guest reads of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from atpn_benchmarks.guest import facts
from atpn_benchmarks.results import Conditions, Machine

CPU = "sys/devices/system/cpu"

V80 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
V82 = "fp asimd evtstrm aes fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def arm_core(number: int, part: str, features: str) -> str:
    return (
        f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {features}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: {part}\n"
        "CPU revision\t: 1\n"
    )


@pytest.fixture
def raspberry(tmp_path: Path) -> Path:
    """A Raspberry Pi 5."""
    cores = "\n".join(arm_core(number, "0xd0b", V82) for number in range(4))
    write(
        tmp_path,
        {
            "proc/cpuinfo": f"{cores}\nRevision\t: c04170\nModel\t\t: Raspberry Pi 5",
            "proc/meminfo": "MemTotal:        8245616 kB\nMemAvailable:    7000000 kB",
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            f"{CPU}/present": "0-3",
            **{f"{CPU}/cpu{core}/cpufreq/scaling_governor": "ondemand" for core in range(4)},
            **{f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq": "1500000" for core in range(3)},
            f"{CPU}/cpu3/cpufreq/scaling_cur_freq": "2400000",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "51250",
            "sys/class/hwmon/hwmon0/name": "rp1_adc",
            "sys/class/hwmon/hwmon0/temp1_input": "58000",
        },
    )
    return tmp_path


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """Four small cores, three big ones, one that is bigger, as the kernel numbers them."""
    parts = ["0xd05"] * 4 + ["0xd41"] * 3 + ["0xd44"]
    capacities = [160] * 4 + [512] * 3 + [1024]
    features = [V80] + [V82 + " i8mm"] * 7
    cores = [arm_core(n, part, features[n]) for n, part in enumerate(parts)]
    write(
        tmp_path,
        {
            "proc/cpuinfo": "\n".join(cores),
            f"{CPU}/present": "0-7",
            **{f"{CPU}/cpu{n}/cpu_capacity": str(value) for n, value in enumerate(capacities)},
            **{f"{CPU}/cpu{n}/topology/thread_siblings_list": str(n) for n in range(8)},
            "sys/class/thermal/thermal_zone0/type": "battery",
            "sys/class/thermal/thermal_zone0/temp": "310",
            "sys/class/thermal/thermal_zone1/type": "cpu-1-0-usr",
            "sys/class/thermal/thermal_zone1/temp": "44",
            "sys/class/thermal/thermal_zone2/type": "cpuss-off",
            "sys/class/thermal/thermal_zone2/temp": "-273000",
        },
    )
    return tmp_path


def test_a_board_of_equal_cores(raspberry: Path) -> None:
    machine = facts.machine(raspberry)
    assert machine["cpu"] == "Cortex-A76"
    assert machine["cores"] == 4
    assert machine["memory_bytes"] == 8245616 * 1024
    assert machine["features"] == ("asimd", "fphp", "asimdhp", "asimddp")
    assert machine["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert facts.free_memory(raspberry) == 7000000 * 1024


def test_conditions_are_those_of_the_slowest_measuring_core(raspberry: Path) -> None:
    found = facts.conditions([2, 3], raspberry)
    assert found == {"governor": "ondemand", "frequency_hz": 1.5e9, "temperature_c": 51.25}
    assert facts.conditions([3], raspberry)["frequency_hz"] == 2.4e9


def test_cores_of_several_kinds_are_told_apart(phone: Path) -> None:
    machine = facts.machine(phone)
    assert machine["cpu"] == "1 x Cortex-X1 + 3 x Cortex-A78 + 4 x Cortex-A55"
    assert "i8mm" not in machine["features"]  # the first core has none
    assert "asimd" in machine["features"]


def test_the_fastest_cores_come_first(phone: Path) -> None:
    everyone = range(8)
    assert facts.default_cores(1, phone, everyone) == [7]
    assert facts.default_cores(3, phone, everyone) == [7, 4, 5]
    assert facts.default_cores(9, phone, everyone) == [7, 4, 5, 6, 1, 2, 3, 0]
    assert facts.default_cores(2, phone, [0, 1, 2]) == [1, 2]


def test_cores_that_share_units_come_last(tmp_path: Path) -> None:
    siblings = {0: "0,3", 1: "1-2", 2: "1-2", 3: "0,3"}
    write(
        tmp_path,
        {f"{CPU}/cpu{n}/topology/thread_siblings_list": text for n, text in siblings.items()},
    )
    first = facts.default_cores(2, tmp_path, range(4))
    assert {siblings[core] for core in first} == {"0,3", "1-2"}
    assert 0 not in first


def test_a_frequency_decides_where_no_capacity_is_told(tmp_path: Path) -> None:
    write(
        tmp_path,
        {f"{CPU}/cpu{n}/cpufreq/cpuinfo_max_freq": str(10**6 * (1 + (n == 2))) for n in range(4)},
    )
    assert facts.default_cores(1, tmp_path, range(4)) == [2]


def test_sensors_tell_in_units_of_their_own(phone: Path) -> None:
    assert facts.temperatures(phone) == {"battery": 31.0, "cpu-1-0-usr": 44.0}
    assert facts.conditions([7], phone)["temperature_c"] == 44.0


def test_a_desktop_processor(tmp_path: Path) -> None:
    flags = "fpu avx avx2 fma f16c avx512f avx512_vnni"
    block = f"model name\t: AMD EPYC 9R45\nflags\t\t: {flags}\ncpu MHz\t\t: 2600.5\n"
    write(tmp_path, {"proc/cpuinfo": f"processor\t: 0\n{block}\nprocessor\t: 1\n{block}"})
    machine = facts.machine(tmp_path)
    assert machine["cpu"] == "AMD EPYC 9R45"
    assert machine["cores"] == 2
    assert machine["features"] == ("avx", "f16c", "fma", "avx2", "avx512f", "avx512_vnni")
    assert facts.conditions([1], tmp_path)["frequency_hz"] == 2600.5e6


def test_an_unknown_core_tells_its_numbers(tmp_path: Path) -> None:
    write(tmp_path, {"proc/cpuinfo": arm_core(0, "0xfff", V80)})
    assert facts.machine(tmp_path)["cpu"] == "ARM core 0x41/0xfff"


def test_a_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    machine = facts.machine(tmp_path)
    assert machine["features"] == ()
    assert machine["memory_bytes"] == 0
    assert facts.conditions([0], tmp_path) == {
        "governor": "",
        "frequency_hz": None,
        "temperature_c": None,
    }


def test_they_are_the_fields_of_the_records() -> None:
    assert Machine(**facts.machine()).cores >= 1
    assert Conditions(**facts.conditions(facts.default_cores(1)))
