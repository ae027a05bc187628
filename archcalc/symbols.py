"""The glossary: every letter that a formula may use, and what it means.

The letters are those of Dumoulin and Visin 2016 ("A guide to convolution arithmetic for deep learning") where they have one.
A formula with a letter that is not here fails at import (see ``archcalc.formula``).
"""

SYMBOLS: dict[str, str] = {
    "n": "images in the batch",
    "i": "input size along one axis",
    "o": "output size along one axis",
    "k": "kernel size",
    "s": "stride",
    "p": "padding on each side",
    "p_start": "padding before the first pixel",
    "p_end": "padding after the last pixel",
    "p_both": "padding of both ends together",
    "p_out": "rows added to the output of a transposed convolution (output_padding)",
    "d": "dilation: spacing between kernel elements",
    "g": "groups",
    "c": "channels",
    "c_in": "input channels (or features)",
    "c_out": "output channels (or features)",
    "h_in": "input height",
    "w_in": "input width",
    "l_in": "input length",
    "d_in": "input depth",
    "h_out": "output height",
    "w_out": "output width",
    "l_out": "output length",
    "d_out": "output depth",
    "bias": "1 if every output has a bias, else 0",
    "affine": "1 if every channel has a learned scale and shift, else 0",
    "e": "elements of a tensor",
    "f": "floating-point operations per element",
    "x": "shape of the input tensor, batch first",
    "y": "shape of the output tensor, batch first",
    "y_image": "shape of the output for one image",
    "x_image": "shape of the input for one image",
    "row": "shape of what is normalised together",
    "rows": "parts of the tensor that are normalised separately",
    "t": "input pixels that all windows along one axis take in together, shared ones counted again",
    "m": "entries of a connection table, over all output maps",
    "b": "branches that are merged",
    "u": "upsampling factor along one axis",
    "v": "bytes that are kept",
    "macs": "multiply-accumulates",
    "work": "operations besides the multiply-accumulates",
    "r": "receptive field along one axis, in pixels of the network's input",
    "j": "jump: pixels of the network's input between two neighbours",
    "a": "overhang: pixels of the first receptive field before the edge of the network's input",
    "z": "pixels of the network's input that the first receptive field takes in from the edge on",
    "w": "bytes of one element",
    "moved": "bytes that are read and written",
    "bandwidth": "bytes that memory gives or takes in a second",
    "peak": "floating-point operations that the device can do in a second",
    "lane": "channels that matrix units read at once",
    "tile": "channels that matrix units write at once",
    "points": "pixels of a Fourier transform, along an axis",
}

# A letter that stands for one number per axis is printed with one name per axis: prod(k) reads k_h*k_w.
AXES: dict[int, tuple[str, ...]] = {1: ("",), 2: ("_h", "_w"), 3: ("_d", "_h", "_w")}

# Letters that stand for one number for each of several things: c_1 + c_2 + ...
COUNTED: dict[str, str] = {"c": "branch", "e": "product", "v": "tensor"}

# Letters that stand for shapes, by their number of dimensions; a picture's comes first, it is shown where no tensor is meant.
_IN = {3: "c_in*h_in*w_in", 1: "c_in", 2: "c_in*l_in", 4: "c_in*d_in*h_in*w_in"}
_OUT = {3: "c_out*h_out*w_out", 1: "c_out", 2: "c_out*l_out", 4: "c_out*d_out*h_out*w_out"}
TENSOR_AXES: dict[str, dict[int, str]] = {
    "x": {1 + rank: f"n*{sizes}" for rank, sizes in _IN.items()},
    "y": {1 + rank: f"n*{sizes}" for rank, sizes in _OUT.items()},
    "x_image": _IN,
    "y_image": _OUT,
    "row": _IN,
}

_AXIS_WORDS = {"h": "height", "w": "width", "d": "depth"}


def meaning(letter: str) -> str:
    """Return what a printed letter means; those of one axis or one branch have it from the letter without.

    >>> meaning("k_h"), meaning("w_out"), meaning("c_2")
    ('kernel size, height', 'output width', 'channels, branch 2')
    """
    if letter in SYMBOLS:
        return SYMBOLS[letter]
    stem, _, end = letter.rpartition("_")
    return f"{SYMBOLS[stem]}, {_AXIS_WORDS.get(end) or f'{COUNTED[stem]} {end}'}"
