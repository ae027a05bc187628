"""What the NVIDIA driver says of a GPU while it works: clocks, heat, and what slows it. Read, never set."""

import ctypes
from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

from archcalc.analysis.timing.result import Clocks

LIBRARIES = ("libnvidia-ml.so.1", "nvml.dll")
SM_CLOCK, TEMPERATURE_GPU = 1, 0  # NVML_CLOCK_SM, NVML_TEMPERATURE_GPU of nvml.h
# nvmlClocksEventReasons of nvml.h that cost time. Not among them: an idle GPU (0x1), clocks that somebody has set (0x2), a GPU that
# waits for the slowest of its group (0x10), and a display's clock (0x100).
THROTTLING: Mapping[int, str] = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
}


class Reading(NamedTuple):
    """One look at the GPU; None for what the driver does not tell."""

    mhz: int | None
    celsius: int | None
    milliwatts: int | None
    reasons: int | None


class Watch:
    """Reads one GPU whenever it is called, and sums up what it has read since it was last asked."""

    def __init__(self, library: Any, handle: Any):
        self.nvml, self.handle = library, handle
        self.readings: list[Reading] = []

    def __call__(self) -> None:
        """Look at the GPU once."""
        read, handle = self._number, self.handle
        self.readings.append(
            Reading(
                read("nvmlDeviceGetClockInfo", ctypes.c_uint, handle, SM_CLOCK),
                read("nvmlDeviceGetTemperature", ctypes.c_uint, handle, TEMPERATURE_GPU),
                read("nvmlDeviceGetPowerUsage", ctypes.c_uint, handle),
                read("nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.c_ulonglong, handle),
            )
        )

    def driver(self) -> str | None:
        """Return the driver's version."""
        text = ctypes.create_string_buffer(80)  # NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
        return text.value.decode() if self.nvml.nvmlSystemGetDriverVersion(text, 80) == 0 else None

    def clocks(self) -> Clocks | None:
        """Return what has been read, and begin anew; None if the driver told no clock."""
        readings, self.readings = self.readings, []
        mhz = [one.mhz for one in readings if one.mhz is not None]
        if not mhz:
            return None
        reasons = 0
        for one in readings:
            reasons |= one.reasons or 0
        return Clocks(
            readings=len(mhz),
            least_mhz=min(mhz),
            median_mhz=int(median(mhz)),
            most_mhz=max(mhz),
            most_celsius=max(one.celsius or 0 for one in readings),
            most_watts=max(one.milliwatts or 0 for one in readings) / 1000,
            throttling=tuple([word for bit, word in THROTTLING.items() if reasons & bit]),
        )

    def _number(self, function: str, kind: Any, *arguments: Any) -> int | None:
        ask = getattr(self.nvml, function, None)  # drivers gain functions, and may lose them
        found = kind()
        return None if ask is None or ask(*arguments, ctypes.byref(found)) else int(found.value)


def watch(uuid: str, library: Any = None) -> Watch | None:
    """Return a watch on the GPU with this UUID (``GPU-...``), None where the driver's library is not there or does not know it."""
    library = library or _library()
    if library is None or library.nvmlInit_v2() != 0:
        return None
    handle = ctypes.c_void_p()
    return None if library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)) else Watch(library, handle)


def _library() -> Any:
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
