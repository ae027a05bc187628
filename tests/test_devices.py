"""The table of devices: every row is sound, and is found under the names that drivers print."""

import pytest

from archcalc.analysis.devices import DEVICES, GIB, PEAKS, find
from archcalc.errors import UsageError

# What torch.cuda.get_device_name and nvidia-smi print, and what people type.
NAMES = {
    "NVIDIA GeForce RTX 3090": "RTX 3090",
    "GeForce RTX 3090": "RTX 3090",
    "rtx-3090": "RTX 3090",
    "rtx3090": "RTX 3090",
    "NVIDIA GeForce RTX 4090": "RTX 4090",
    "NVIDIA H100 80GB HBM3": "H100 SXM",
    "NVIDIA H200": "H200 SXM",
    "NVIDIA B200": "B200",
    "NVIDIA L4": "L4",
    "NVIDIA L40S": "L40S",
    "Tesla V100-SXM2-16GB": "V100 SXM2 16GB",
    "Tesla V100-SXM2-32GB": "V100 SXM2 32GB",
    "Tesla P100-SXM2-16GB": "P100 SXM2",
    "Tesla T4": "T4",
    "Tesla K80": "K80",
    "NVIDIA A100-SXM4-40GB": "A100 SXM 40GB",
    "NVIDIA A100-SXM4-80GB": "A100 SXM 80GB",
    "GeForce GTX 580": "GTX 580 3GB",
    "gtx 580 1.5 gb": "GTX 580 1.5GB",
}


@pytest.mark.parametrize(("printed", "name"), NAMES.items())
def test_names(printed: str, name: str) -> None:
    assert find(printed).name == name


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_every_name_finds_its_own_device(device) -> None:
    assert all(find(name) is device for name in (device.name, *device.aliases))


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_rows_are_sound(device) -> None:
    assert list(device.peaks) == [precision for precision in PEAKS if precision in device.peaks]
    rates = [device.peaks[precision] for precision in ("fp32", "tf32", "fp16", "fp8") if precision in device.peaks]
    assert rates == sorted(rates)  # fewer bits are never slower
    assert device.peaks.get("bf16", device.peaks.get("fp16")) == device.peaks.get("fp16")
    assert 1e11 < device.bandwidth < 1e13
    assert device.memory_bytes % (GIB // 4) == 0
    assert device.source


def test_dense_figures_of_hopper_and_later() -> None:
    """Sparse figures are twice the dense ones; where they slip in, fp8 is no longer twice fp16, or tf32 half of it."""
    for name in ("H100", "H200"):
        peaks = find(name).peaks
        assert peaks["fp8"] == pytest.approx(2 * peaks["fp16"], rel=0.01)
        assert peaks["fp16"] == pytest.approx(2 * peaks["tf32"], rel=0.01)
        # Tensor cores do 4,096 operations per clock on each of 132 multiprocessors, at the datasheet's 1,830 MHz.
        assert peaks["fp16"] == pytest.approx(4096 * 132 * 1.83e9, rel=0.01)


def test_unknown_devices_and_precisions() -> None:
    with pytest.raises(UsageError, match=r"E285.*RTX 3090 Ti.*did you mean RTX 3090"):
        find("RTX 3090 Ti")
    with pytest.raises(UsageError, match=r"E285.*one of GTX 580"):
        find("abacus")
    with pytest.raises(UsageError, match="E286: V100 SXM2 16GB has no peak in bf16; it has one in fp32, fp16"):
        find("v100").peak("bf16")


@pytest.mark.parametrize(("name", "reported"), [("T4", 15360), ("L4", 23034), ("L40S", 46068), ("RTX 3090", 24576)])
def test_error_correction_takes_its_part(name: str, reported: int) -> None:
    """Against the MiB in total that nvidia-smi prints for these cards as they are delivered."""
    assert find(name).memory_bytes / 2**20 == pytest.approx(reported, rel=0.001)


def test_the_paper_s_card_and_the_other_one() -> None:
    assert find("GTX 580").memory_bytes == 3 * GIB
    assert find("GTX 580 1.5GB").memory_bytes == 3 * GIB // 2


def test_an_unverified_row_says_so(run) -> None:
    assert "UNVERIFIED" in run("roofline", "lenet5", "--gpu", "rtx3090").out
    assert "UNVERIFIED" not in run("roofline", "lenet5", "--gpu", "a100").out
