"""The table of devices: what datasheets promise of peaks, bandwidth and memory, under the names that drivers print.

Peaks are dense, without structured sparsity, which many pages quote at twice the number; those of 16-bit types accumulate in
float32, as PyTorch's convolutions do.
"""

import msgspec

from archcalc.errors import UsageError, did_you_mean

PEAKS = ("fp32", "tf32", "fp16", "bf16", "fp8")
GIB = 2**30
_MAKERS = ("nvidia", "geforce", "tesla")  # words that one driver prints before the name and another leaves out


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device, or what was measured of one.

    ``peaks`` holds FLOP/s by precision (one of PEAKS), and lacks what the device cannot do; ``bandwidth`` is in bytes/s between
    chip and memory. ``memory_bytes`` counts a GB of the datasheet as 2**30 bytes, less what error correction takes: memory is sold
    in powers of two, and drivers report about so much (24,576 MiB for an RTX 3090, 23,034 for an L4). ``cache_bytes`` is the last
    cache that all cores share (an MB being 2**20 bytes). ``verified`` says whether somebody has read peaks, bandwidth and
    memory in the ``source``. ``matrix_units``: products of all precisions but fp32 run on tensor cores.
    """

    name: str
    aliases: tuple[str, ...] = ()
    peaks: dict[str, int]
    memory_bytes: int
    bandwidth: int
    cache_bytes: int
    source: str
    verified: bool
    matrix_units: bool = True

    def peak(self, precision: str) -> int:
        """FLOP/s in a precision. Raises UsageError if the device cannot do it, or if nothing is known of it."""
        found = self.peaks.get(precision)
        if found is None:
            message = f"{self.name} has no peak in {precision}"
            raise UsageError("E286", message, help=f"it has one in {', '.join(self.peaks)}")
        return found


def find(name: str) -> Device:
    """Return the device of this name, however it is spelt: ``rtx3090``, ``NVIDIA GeForce RTX 3090``. Raises UsageError if none is.

    >>> find("NVIDIA H100 80GB HBM3").name, find("gtx-580").memory_bytes // GIB
    ('H100 SXM', 3)
    """
    found = _NAMES.get(_letters(name))
    if found is None:
        names = [device.name for device in DEVICES]
        way_out = did_you_mean(name, [*names, *(alias for device in DEVICES for alias in device.aliases)])
        message = f"there is no device {name.strip() or 'without a name'} in the table"
        raise UsageError("E285", message, help=way_out or f"one of {', '.join(names)}")
    return found


def _letters(name: str) -> str:
    """Return the letters and digits of a name, without the words that name the maker."""
    found = "".join(letter for letter in name.lower() if letter.isalnum())
    for maker in _MAKERS:
        found = found.removeprefix(maker)
    return found


def _device(
    name: str, aliases: tuple[str, ...], tera: tuple[float | None, ...], gb: float, gb_per_second: float, cache_mib: float,
    source: str, *, verified: bool, matrix_units: bool = True, corrected: bool = False,
) -> Device:  # fmt: skip
    """Return a row of the table; ``tera`` are TFLOP/s in the order of PEAKS.

    ``corrected``: the card has GDDR memory and error correction on when it is delivered, whose bits lie in that memory and take a
    sixteenth of it ("12 GB total memory yields ~11.25 GB", Tesla K40 board specification); HBM has bits of its own for them.
    """
    peaks = {precision: round(peak * 10**12) for precision, peak in zip(PEAKS, tera, strict=True) if peak is not None}
    return Device(
        name=name,
        aliases=aliases,
        peaks=peaks,
        memory_bytes=round(gb * GIB * (15 / 16 if corrected else 1)),
        bandwidth=round(gb_per_second * 10**9),
        cache_bytes=round(cache_mib * 2**20),
        source=source,
        verified=verified,
        matrix_units=matrix_units,
    )


# A name without a size is the smaller of two, which was sold first; but GTX 580 is the one of Krizhevsky et al. 2012, with 3 GB.
# fmt: off
DEVICES: tuple[Device, ...] = (
    #        name             aliases                                      fp32   tf32   fp16   bf16   fp8    GB   GB/s  cache
    _device("GTX 580 3GB",   ("GTX 580",),                                (1.58,  None,  None,  None,  None), 3,   192,  0.75,
            "NVIDIA GeForce GTX 580 specifications; memory as in Krizhevsky et al. 2012, 3.2", verified=True, matrix_units=False),
    _device("GTX 580 1.5GB", (),                                          (1.58,  None,  None,  None,  None), 1.5, 192,  0.75,
            "NVIDIA GeForce GTX 580 specifications", verified=True, matrix_units=False),
    _device("K80",           ("K80 12GB",),                               (4.37,  None,  None,  None,  None), 12,  240,  1.5,
            "NVIDIA Tesla K80 board specification; one of the two GPUs on a card", verified=True, matrix_units=False,
            corrected=True),
    _device("P100 SXM2",     ("P100", "P100 16GB", "P100-SXM2-16GB"),     (10.6,  None,  21.2,  None,  None), 16,  732,  4,
            "NVIDIA Tesla P100 whitepaper", verified=False, matrix_units=False),
    _device("V100 SXM2 16GB", ("V100", "V100 SXM2", "V100 16GB"),         (15.7,  None,  125,   None,  None), 16,  900,  6,
            "NVIDIA V100 datasheet", verified=False),
    _device("V100 SXM2 32GB", ("V100 32GB",),                             (15.7,  None,  125,   None,  None), 32,  900,  6,
            "NVIDIA V100 datasheet", verified=False),
    _device("T4",            ("T4 16GB",),                                (8.1,   None,  65,    None,  None), 16,  320,  4,
            "NVIDIA T4 datasheet", verified=True, corrected=True),
    _device("A100 SXM 40GB", ("A100", "A100 SXM", "A100 40GB", "A100-SXM4-40GB"), (19.5, 156, 312, 312, None), 40, 1555, 40,
            "NVIDIA A100 datasheet", verified=True),
    _device("A100 SXM 80GB", ("A100 80GB", "A100-SXM4-80GB"),             (19.5,  156,   312,   312,   None), 80,  2039, 40,
            "NVIDIA A100 datasheet", verified=True),
    _device("RTX 3090",      (),                                          (35.6,  35.6,  71,    71,    None), 24,  936,  6,
            "NVIDIA Ampere GA102 GPU architecture whitepaper", verified=False),
    _device("RTX 4090",      (),                                          (82.6,  82.6,  165,   165,   330),  24,  1008, 72,
            "NVIDIA Ada GPU architecture whitepaper", verified=False),
    _device("L4",            (),                                          (30.3,  60,    121,   121,   242),  24,  300,  48,
            "NVIDIA L4 datasheet", verified=True, corrected=True),
    _device("L40S",          (),                                          (91.6,  183,   362,   362,   733),  48,  864,  96,
            "NVIDIA L40S datasheet", verified=True, corrected=True),
    _device("H100 SXM",      ("H100", "H100 SXM5", "H100 80GB", "H100 80GB HBM3"), (67, 495, 989, 989, 1979), 80,  3350, 50,
            "NVIDIA H100 datasheet, its figures with sparsity halved", verified=True),
    _device("H200 SXM",      ("H200", "H200 141GB"),                      (67,    495,   989,   989,   1979), 141, 4800, 50,
            "NVIDIA H200 datasheet, its figures with sparsity halved", verified=True),
    _device("B200",          ("B200 180GB",),                             (75,    1100,  2250,  2250,  4500), 180, 7700, 126,
            "NVIDIA DGX B200 datasheet, its figures with sparsity halved", verified=True),
)
# fmt: on
_NAMES: dict[str, Device] = {_letters(name): device for device in DEVICES for name in (device.name, *device.aliases)}
