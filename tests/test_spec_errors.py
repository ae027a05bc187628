"""What the language refuses: the code, the place, the sentence and the way out, as a newcomer meets them."""

# ruff: noqa: E501 (a table reads by its rows, however long they are)

from pathlib import Path

import pytest

import archcalc
from archcalc.errors import ArchcalcError
from archcalc.spec import parse

HEAD = "input: [4, 16, 16]\n"


def refusal(text: str) -> ArchcalcError:
    with pytest.raises(ArchcalcError) as raised:
        archcalc.analyse(parse(text, "net.yaml").graph())
    return raised.value


def where(error: ArchcalcError) -> str:
    """The characters that the caret underlines, with their line and column."""
    place = error.place
    assert place is not None
    return f"{place.line}:{place.column} {place.text[place.column - 1 : place.column - 1 + place.width]}"


# Steps, each under `input` on line 1 and `layers:` on line 2.
STEPS = [
    # step, code, place and what is underlined, words of the message, words of the way out
    ("- Convolution: {out_channels: 3}", "E034", "3:3 Convolution", "unknown operator Convolution", "did you mean Conv2d?"),
    ("- conv: {out_channels: 3}", "E034", "3:3 conv", "unknown block conv", "did you mean Conv2d?"),
    ("- Dense: {units: 10}", "E034", "3:3 Dense", "unknown operator Dense", "did you mean Linear?"),
    ("- InnerProduct: {num_output: 10}", "E034", "3:3 InnerProduct", "unknown operator", "did you mean Linear?"),
    ("- Conv2D: {filters: 3}", "E034", "3:3 Conv2D", "unknown operator Conv2D", "did you mean Conv2d?"),
    ("- GlobalAveragePooling2D", "E034", "3:3 GlobalAveragePooling2D", "unknown operator", "did you mean GlobalAvgPool2d?"),
    ("- relu", "E034", "3:3 relu", "unknown block relu", "did you mean ReLU?"),
    ("- nn.ReLU()", "E034", "3:3 nn.ReLU()", "unknown", "write `- ReLU`"),
    ("- Conv2d(3, 64, 3)", "E034", "3:3 Conv2d(3, 64, 3)", "unknown", "write `- Conv2d: {out_channels: ..., kernel_size: ...}`"),
    ("- quux", "E034", "3:3 quux", "unknown block quux", "named as in torch.nn"),
    ("- 3", "E034", "3:3 3", "unknown block 3", "named as in torch.nn"),
    ("-", "E033", "3:2 ", "empty", "- ReLU"),
    ("- {}", "E033", "3:3 {", "empty", "- ReLU"),
    ("- [ReLU]", "E033", "3:3 [", "not a list", "too many"),
    ("- Conv2d:\n  out_channels: 3\n  kernel_size: 3", "E033", "3:3 C", "Conv2d, out_channels, kernel_size", "or indent them deeper"),
    ("- name: conv1\n  type: Conv2d", "E033", "3:3 n", "not name, type", "begin with the operator"),
    ("- Conv2d: 64", "E035", "3:11 64", "Conv2d takes named arguments, not a number", "`- Conv2d: {out_channels: 64, kernel_size: ...}`"),
    ("- Conv2d: [64, 3]", "E035", "3:11 [", "not a list", "`- Conv2d: {out_channels: 64, kernel_size: 3}`"),
    ("- Conv2d: [3, 64, 3]", "E035", "3:11 [", "not a list", "`- Conv2d: {out_channels: ..., kernel_size: ...}`"),
    ("- Conv2d: [[64], 3]", "E035", "3:11 [", "not a list", "`- Conv2d: {out_channels: ..., kernel_size: ...}`"),
    ("- Dropout: 0.5", "E035", "3:12 0.5", "not a number", "`- Dropout: {p: 0.5}`"),
    ("- Dropout: 5", "E035", "3:12 5", "not a number", "`- Dropout`"),
    ("- Linear: width", "E035", "3:11 width", "not text", "`- Linear: {out_features: width}`"),
    ("- BatchNorm2d: 64", "E035", "3:16 64", "not a number", "`- BatchNorm2d`"),
    ("- ReLU: true", "E035", "3:9 true", "not true or false", "write `- ReLU: {inplace: true}`"),
    ("- Add: [ReLU]", "E035", "3:8 [", "Add takes named arguments", "Add: {main: [...], skip: []}"),
    ("- unit: 64", "E035", "3:9 64", "unit(out, k, s) takes its arguments by name or as a list", "unit: [64]"),
    ("- Conv2d", "E036", "3:3 Conv2d", "needs out_channels and kernel_size", "out_channels: a whole number"),
    ("- Linear: {bias: false}", "E036", "3:3 Linear", "needs out_features", "whole number"),
    ("- unit", "E036", "3:3 unit", "unit(out, k, s) needs out", "defines it"),
    ("- Conv2d: {filters: 3, kernel_size: 3}", "E038", "3:12 filters", "no argument filters", "did you mean out_channels?"),
    ("- Conv2d: {out_channels: 3, kernel: 3}", "E038", "3:29 kernel", "no argument kernel", "did you mean kernel_size?"),
    ("- Conv2d: {out_channels: 3, kernel_size: 3, pad: 1}", "E038", "3:45 pad", "no argument pad", "did you mean padding?"),
    ("- Conv2d: {out_channels: 3, kernel_size: 3, strides: 1}", "E038", "3:45 strides", "strides", "did you mean stride?"),
    ("- Linear: {units: 3}", "E038", "3:12 units", "no argument units", "did you mean out_features?"),
    ("- MaxPool2d: {pool_size: 3}", "E038", "3:15 pool_size", "pool_size", "did you mean kernel_size?"),
    ("- Dropout: {rate: 0.5}", "E038", "3:13 rate", "rate", "did you mean p?"),
    ("- Conv2d: {in_channels: 3, out_channels: 3, kernel_size: 3}", "E038", "3:12 in_channels", "inferred from the layer before", "remove it"),
    ("- Conv2d: {out_channels: 3, kernel_size: 3, activation: relu}", "E038", "3:45 activation", "activation", "a step of its own: - ReLU"),
    ("- ReLU: {slope: 3}", "E038", "3:10 slope", "ReLU has no argument slope", "inplace"),
    ("- ReLU: {nmae: a}", "E038", "3:10 nmae", "nmae", "did you mean name?"),
    ("- unit: {out: 3, kernel: 3}", "E038", "3:18 kernel", "no argument kernel", "known here: flat, from"),
    ("- unit: [1, 2, 3, 4]", "E038", "3:19 4", "takes 3 arguments, not 4", None),
    ("- group: {name: g, steps: []}", "E038", "3:20 steps", "group has no argument steps", "known here"),
    ("- head: {numbered: true, layers: [ReLU]}", "E038", "3:10 numbered", "head has no argument numbered", None),
    ("- unit: {out: 3, flat: 1}", "E030", "3:24 1", "flat must be true or false", None),
    ("- unit: {out: 3, flat: true, name: u}", "E038", "3:3 unit", "a flat unit has no scope to name", "one of the two"),
    ("- group: {flat: true, numbered: true, layers: []}", "E038", "3:3 group", "a flat group has no scope", "one of the two"),
    ("- group: {name: g, flat: true, layers: [ReLU]}", "E038", "3:3 group", "a flat group has no scope to name", "one of the two"),
    ("- unit: {out: 3, name: g, flat: true}", "E038", "3:3 unit", "a flat unit has no scope to name", "one of the two"),
    ("- unit: {out: 3, flat: 1}", "E030", "3:24 1", "flat must be true or false", None),
    ("- group: {name: g}", "E032", "3:3 group", "group needs a list of steps", "[]"),
    ("- group", "E032", "3:3 group", "group needs layers", "layers: [...]"),
    ("- group: {layers: ReLU}", "E032", "3:19 ReLU", "must be a list of steps, not text", "begin each step with `- `"),
    ("- Add: {main: [ReLU], skip: Identity}", "E032", "3:29 Identity", "branch skip of Add must be a list", "begin each step"),
    ("- Add: {main: [ReLU], skip: }", "E032", "3:29 }", "branch skip of Add needs a list", "[]"),
    ("- Concat: {dim: 1, a: [], b: []}", "E032", "3:17 1", "branch dim of Concat", None),
    ("- group: {numbered: 1, layers: [ReLU]}", "E030", "3:21 1", "numbered must be true or false", None),
    ("- Conv2d: {out_channels: {a: 1}, kernel_size: 3}", "E030", "3:26 {", "not a mapping", "quote"),
    # Merges
    ("- Add", "E037", "3:3 Add", "at least two branches", "{main: [...], skip: []}"),
    ("- Add: {main: [ReLU]}", "E037", "3:3 Add", "at least two branches", "from: [first, second]"),
    ("- Add: {from: [a, b], c: [], d: []}", "E037", "3:3 Add", "branches and a list in `from`", "one of the two"),
    ("- ReLU: {from: [a, b]}", "E037", "3:16 [", "ReLU takes one input", "Add or Concat"),
    ("- Add: {share: a, main: [], skip: []}", "E037", "3:16 a", "no parameters of its own", "branches"),
    # Names
    ("- ReLU: {name: a.b}", "E031", "3:16 a.b", "dots", "use _ or -"),
    ("- ReLU: {name: a b}", "E031", "3:16 a b", "spaces", "use _ or -"),
    ("- ReLU: {name: [a]}", "E031", "3:16 [", "must be a text, not a list", None),
    ("- ReLU: {name: {i}}", "E031", "3:16 {", "must be a text, not a mapping", "quote"),
    ("- ReLU: {name: ''}", "E031", "3:16 ''", "name must be a text, not an empty text", None),
    ("- ReLU: {name: }", "E031", "3:16 }", "must be a text, not nothing", None),
    (f"- ReLU: {{name: {'x' * 201}}}", "E031", f"3:16 {'x' * 201}", "longer than 200", None),
    ("- ReLU: {name: 'r{i', repeat: 2}", "E020", "3:18 {", "without its }", None),
    ("- ReLU: {name: 'r{j}', repeat: 2}", "E021", "3:19 j", "unknown name j", "known here: width"),
    ("- ReLU: {name: 'r{0.5}'}", "E024", "3:19 0.5", "a whole number in braces", None),
    ("- ReLU: {name: x}\n- ReLU: {name: x}", "E054", "4:3 ReLU", "two steps are named x", "the first is on line 3"),
    ("- ReLU: {name: input}", "E054", "3:3 ReLU", "two steps are named input", "it is an input"),
    ("- group: {name: g, layers: [ReLU]}\n- group: {name: g, layers: [Tanh]}", "E054", "4:3 group", "two steps are named g", "line 3"),
    ("- group: {repeat: 2, layers: [ReLU]}\n- ReLU: {name: group1}\n- ReLU: {name: group1}", "E054", "5:3 ReLU", "group1", "line 4"),
    ("- Add: {a: [ReLU: {name: x}], b: [ReLU: {name: x}]}", "E054", "3:35 ReLU", "two steps are named x", "the first is on line 3"),
    ("- group: {repeat: 2, layers: [ReLU: {name: 'a{i}', repeat: 2}, ReLU: {name: 'a{0*i}', repeat: 2}]}", "E054", "3:64 ReLU", "group1.0.a0", "line 3"),
    ("- ReLU: {name: 'a{0*i}', repeat: 2}", "E054", "3:3 ReLU", "two steps are named a0", "let its name count"),
    ("- head: {name: output, layers: [ReLU]}", "E054", "3:3 head", "cannot be named output", "aux1"),
    # From and share
    ("- ReLU: {from: conv7}", "E055", "3:16 conv7", "no earlier step is named conv7", "known here: input"),
    ("- ReLU: {name: conv1}\n- ReLU: {from: conv_1}", "E055", "4:16 conv_1", "conv_1", "did you mean conv1?"),
    ("- ReLU: {from: late}\n- Tanh: {name: late}", "E055", "3:16 late", "no earlier step is named late", "further down"),
    ("- ReLU: {name: self, from: self}", "E055", "3:28 self", "no earlier step", "only what ran before"),
    ("- Conv2d: {out_channels: 4, kernel_size: 1, share: nobody}", "E055", "3:52 nobody", "nobody", "input"),
    ("- unit: {out: 4, name: a}\n- group: {share: a, layers: [Tanh: {name: other}]}", "E055", "4:30 Tanh", "group1 shares the parameters of a", "the same block"),
    ("- Conv2d: {name: a, out_channels: 4, kernel_size: 1}\n- Conv2d: {share: a, out_channels: 8, kernel_size: 1}", "E214", "4:3 Conv2d", "cannot use the parameters of a", "same operator"),
    # Conditions, repeats and flags
    ("- ReLU: {if: 1}", "E053", "3:14 1", "if must be true or false, not 1", "n > 0"),
    ("- ReLU: {if: in_channels}", "E053", "3:14 in_channels", "not 4", "n > 0"),
    ("- ReLU: {frozen: 0}", "E053", "3:18 0", "frozen must be true or false", None),
    ("- ReLU: {if: yes}", "E021", "3:14 yes", "unknown name yes", "write true"),
    ("- ReLU: {repeat: -1}", "E052", "3:18 -1", "from 0 to 100,000, not -1", None),
    ("- ReLU: {repeat: 2.5}", "E052", "3:18 2.5", "whole number", None),
    ("- ReLU: {repeat: true}", "E052", "3:18 true", "not true", None),
    ("- ReLU: {repeat: 1000000000}", "E052", "3:18 1000000000", "100,000", None),
    ("- ReLU: {repeat: [1]}", "E052", "3:18 [", "not [1]", None),
    ("- ReLU: {repeat: 2, if: i > 0}", "E021", "3:25 i", "unknown name i", "judged once, before"),
    ("- group: {repeat: 1000, layers: [group: {repeat: 1000, layers: []}]}", "E051", "3:34 group", "1,000,000 steps", "fewer repeats"),
    ("- group: {repeat: 100000, layers: [ReLU, ReLU]}", "E213", "3:42 ReLU", "more than 100,000 nodes", "fewer repeats"),
    # Expressions
    (conv := "- Conv2d: {kernel_size: 1, out_channels: %s}") and (conv % "4*widht", "E021", "3:44 widht", "unknown name widht", "did you mean width?"),
    (conv % "in_height*depth", "E021", "3:52 depth", "unknown name depth", "known here: in_channels, in_height, in_width, width"),
    (conv % "2 ** 3", "E022", "3:42 2 ** 3", "a power (**) is not allowed", "allowed: + -"),
    (conv % "width.real", "E022", "3:42 width.real", "an attribute", "allowed"),
    (conv % "int(3.5)", "E022", "3:42 int(3.5)", "calling int", "floor"),
    (conv % "7 / 2", "E023", "3:42 7 / 2", "7 / 2 does not divide exactly", "// rounds down"),
    (conv % "width + true", "E024", "3:42 width + true", "+ takes two numbers, not 64 and true", None),
    (conv % "'[1, 2][5]'", "E024", "3:43 [1, 2][5]", "out of range", None),
    (conv % "1 // 0", "E024", "3:42 1 // 0", "divides by zero", None),
    (conv % "9999999999 * 9999999999", "E025", "3:42 9999999999 * 9999999999", "too large", None),
    (conv % "4*", "E020", "3:44 }", "cannot read the expression 4*", None),
    (conv % "64 channels", "E020", "3:45 c", "channels cannot stand here", None),
    (conv % "kernel_size, kernel_size: out_channels", "E006", "3:55 kernel_size", "stands twice", "line 3"),
    ("- Conv2d: {out_channels: kernel_size, kernel_size: out_channels}", "E056", "3:52 out_channels", "each defined by the other", None),
    ("- Conv2d: {out_channels: 2*in_height, kernel_size: 1, from: flat}", "E055", "3:61 flat", "flat", None),
    ("- Flatten\n- Linear: {out_features: in_height}", "E021", "4:26 in_height", "unknown name in_height", "1024, without such an axis"),
    # Values
    ("- Conv2d: {out_channels: 8, kernel_size: 3x3}", "E020", "3:42 3x3", "3x3", "write [3, 3]"),
    ("- Conv2d: {out_channels: 8, kernel_size: [3, 3, 3]}", "E120", "3:42 [", "a list of 2 of them, not [3, 3, 3]", None),
    ("- Conv2d: {out_channels: 8.0, kernel_size: 3}", "E120", "3:26 8.0", "whole number of at least 1, not 8.0", "write 8"),
    ("- Conv2d: {out_channels: 0.3*in_channels, kernel_size: 3}", "E120", "3:26 0.3*in_channels", "not 1.2", "floor(0.3*in_channels)"),
    ("- Conv2d: {out_channels: -8, kernel_size: 3}", "E120", "3:26 -8", "at least 1, not -8", None),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, groups: 0}", "E120", "3:53 0", "groups of Conv2d must be a whole number of at least 1", None),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, stride: 0}", "E120", "3:53 0", "stride", None),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, padding: -1}", "E120", "3:54 -1", "padding of Conv2d", None),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, padding: [1, 1, 1]}", "E120", "3:54 [", "not [1, 1, 1]", None),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, padding: valid}", "E021", "3:54 valid", "unknown name valid", "padding: 0"),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, padding: SAME}", "E021", "3:54 SAME", "unknown name SAME", "same, written small, is a padding that Conv1d"),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, bias: no}", "E021", "3:51 no", "unknown name no", "write false"),
    ("- Conv2d: {out_channels: 8, kernel_size: 3, bias: 1}", "E120", "3:51 1", "bias of Conv2d must be true or false, not 1", None),
    ("- Conv2d: {out_channels: null, kernel_size: 3}", "E120", "3:26 null", "not null", None),
    ("- Conv2d: {out_channels: .inf, kernel_size: 3}", "E120", "3:26 .inf", "whole number", "10**15"),
    ("- Dropout: {p: 1.5}", "E120", "3:16 1.5", "not 1.5", None),
    ("- Upsample: {scale_factor: 2, size: 4}", "E121", "3:37 4", "either size or scale_factor", None),
    # Shapes
    ("- Linear: {out_features: 10}", "E101", "3:3 Linear", "its input is 4x16x16", "put a Flatten before it"),
    ("- Flatten\n- Conv2d: {out_channels: 8, kernel_size: 3}", "E101", "4:3 Conv2d", "its input is 1024", None),
    ("- MaxPool2d: {kernel_size: 2, repeat: 5}", "E102", "3:3 MaxPool2d", "does not fit an input of 1", "a larger input"),
    ("- Conv2d: {out_channels: 8, kernel_size: 17}", "E102", "3:3 Conv2d", "floor((16 + 0 + 0 - 17)/1) + 1 = 0", "larger input"),
    ("- Conv2d: {out_channels: 6, kernel_size: 1, groups: 3}", "E103", "3:3 Conv2d", "4 input channels do not divide into 3 groups: 4 = 3*1 + 1", "4 input and 6 output"),
    ("- Conv2d: {out_channels: 6, kernel_size: 1, groups: 4}", "E103", "3:3 Conv2d", "6 output channels do not divide into 4 groups", None),
    ("- ConvTranspose2d: {out_channels: 6, kernel_size: 3, output_padding: 1}", "E104", "3:3 ConvTranspose2d", "output_padding 1", "stride"),
    ("- MaxPool2d: {kernel_size: 2, padding: 2}", "E105", "3:3 MaxPool2d", "too much", "less padding"),
    ("- ShortcutA: {out_channels: 2}", "E106", "3:3 ShortcutA", "less than the 4", None),
    ("- Softmax: {dim: 4}", "E107", "3:3 Softmax", "dim 4 of Softmax", "from -4 to 3"),
    ("- Upsample: {scale_factor: 1000, repeat: 5}", "E108", "3:3 Upsample", "beyond 2**63 - 1 elements", "smaller"),
    ("- Add: {main: [MaxPool2d: {name: half, kernel_size: 2}], skip: [ReLU]}", "E110", "3:3 Add",
     "4x8x8 and 4x16x16: main ends with half (4x8x8), skip ends with relu1 (4x16x16)", "strides"),
    ("- Conv2d: {name: c, out_channels: 8, kernel_size: 1}\n- Add: {from: [input, c]}", "E110", "4:3 Add", "input ends with input (4x16x16), c ends with c (8x16x16)", "1x1"),
    ("- Multiply: {map: [], gate: [MaxPool2d: {kernel_size: 2}]}", "E111", "3:3 Multiply", "map ends with input (4x16x16), gate ends with maxpool1 (4x8x8)", None),
    ("- Concat: {a: [], b: [MaxPool2d: {kernel_size: 2}]}", "E112", "3:3 Concat", "a ends with input (4x16x16), b ends with maxpool1 (4x8x8)", "stride"),
    ("- ReLU: {name: enc0}\n- MaxPool2d: {name: pool, kernel_size: 2}\n- Concat: {from: ['enc{i}', pool], repeat: 1}", "E112", "5:3 Concat",
     "enc0 ends with enc0 (4x16x16), pool ends with pool (4x8x8)", "stride"),
]  # fmt: skip
TOP = "params: {width: 64}\nblocks:\n  unit(out, k=1, s=1):\n    - Conv2d: {out_channels: out, kernel_size: k, stride: s}\n"


@pytest.mark.parametrize(
    ("step", "code", "place", "message", "way_out"), STEPS, ids=[f"{case[1]} {case[0][:50]}" for case in STEPS]
)
def test_steps(step: str, code: str, place: str, message: str, way_out: str | None) -> None:
    error = refusal(f"{HEAD}layers:\n{step}\n{TOP}")
    assert (error.code, where(error)) == (code, place)
    assert message in error.message
    if way_out is not None:
        assert error.help is not None
        assert way_out in error.help


LAYERS = "layers: [ReLU]\n"
FILES = [
    # file, code, place and what is underlined, words of the message, words of the way out
    ("", "E009", "1:1 ", "empty", "starts with name, input and layers"),
    ("# only a comment\n", "E009", "1:1 #", "empty", None),
    ("- ReLU\n", "E041", "1:1 -", "a spec is a mapping, not a list", "name, input and layers"),
    ("hello", "E041", "1:1 hello", "a spec is a mapping, not text", None),
    (HEAD, "E042", "1:1 i", "no layers", "layers: [Flatten"),
    (LAYERS, "E042", "1:1 l", "no input", "[3, 224, 224]"),
    (HEAD + "layer: [ReLU]\n", "E044", "2:1 layer", "no key layer", "did you mean layers?"),
    (HEAD + LAYERS + "model: x\n", "E044", "3:1 model", "no key model", "known here: blocks"),
    (HEAD + "layers:\n", "E032", "2:8 ", "layers needs a list of steps", "[]"),
    (HEAD + "layers:\n  ReLU:\n  Flatten:\n", "E032", "3:3 R", "must be a list of steps, not a mapping", "begin each step with `- `"),
    (HEAD + "layers: []\n", "E058", "2:9 [", "no layers", "list them"),
    (HEAD + "layers: [ReLU: {if: false}]\n", "E058", "2:9 [", "no layers", None),
    ("input: 224\n" + LAYERS, "E040", "1:8 224", "a list of sizes, not a number", "[3, 224, 224]"),
    ("input: 3x224x224\n" + LAYERS, "E020", "1:8 3x224x224", "3x224x224", "write [3, 224, 224]"),
    ("input: []\n" + LAYERS, "E040", "1:8 [", "one to four whole numbers", "channels, height, width"),
    ("input: [3, 0, 8]\n" + LAYERS, "E040", "1:8 [", "a whole number from 1 to 2,147,483,647, not 0 as in [3, 0, 8]", None),
    ("input: [3, 8.5, 8]\n" + LAYERS, "E040", "1:8 [", "a whole number from 1 to 2,147,483,647, not 8.5", None),
    ("input: {}\n" + LAYERS, "E040", "1:8 {", "not a mapping", None),
    ("input: {channels: 3, height: 8}\n" + LAYERS, "E040", "1:19 3", "a list of one to four", "[3, 224, 224]"),
    ("input: {a.b: [3]}\n" + LAYERS, "E031", "1:9 a.b", "dots", None),
    ("input: {'a{i}': [3]}\n" + LAYERS, "E031", "1:9 'a{i}'", "without braces", None),
    ("input: [2147483647, 2147483647, 2147483647, 2147483647]\n" + LAYERS, "E108", "1:8 [", "beyond 2**63 - 1", None),
    ("input: {a: [3], b: [3]}\n" + LAYERS, "E057", "2:10 ReLU", "several inputs", "from: NAME"),
    ("input: {a: [3], b: [3]}\nlayers: [ReLU: {if: in_channels > 2}]", "E021", "2:21 in_channels", "unknown name in_channels", "from: NAME"),
    (HEAD + "title: ''\n" + LAYERS, "E045", "2:8 ''", "title must be a text, not an empty text", None),
    (HEAD + "name: [a]\n" + LAYERS, "E045", "2:7 [", "name must be a text, not a list", None),
    (HEAD + "params: 3\n" + LAYERS, "E043", "2:9 3", "params must be a mapping, not a number", None),
    (HEAD + "params: {i: 3}\n" + LAYERS, "E046", "2:10 i", "cannot be named i", "letters"),
    (HEAD + "params: {lambda: 3}\n" + LAYERS, "E046", "2:10 lambda", "cannot be named lambda", None),
    (HEAD + "params: {2x: 3}\n" + LAYERS, "E046", "2:10 2x", "cannot be named 2x", None),
    (HEAD + "params: {x: }\n" + LAYERS, "E046", "2:10 x", "has no value", "x: 1"),
    (HEAD + "params: {a: b, b: 1}\n" + LAYERS, "E021", "2:13 b", "unknown name b", None),
    (HEAD + "params: {a: a}\n" + LAYERS, "E021", "2:13 a", "unknown name a", None),
    (HEAD + "defaults: {Conv: {bias: false}}\n" + LAYERS, "E034", "2:12 Conv", "unknown operator Conv", "did you mean Conv2d?"),
    (HEAD + "defaults: {Conv2d: false}\n" + LAYERS, "E043", "2:20 false", "must be a mapping", "bias: false"),
    (HEAD + "defaults: {Conv2d: {name: a}}\n" + LAYERS, "E038", "2:21 name", "has no default", "at the step"),
    (HEAD + "defaults: {Conv2d: {pad: 1}}\n" + LAYERS, "E038", "2:21 pad", "pad", "did you mean padding?"),
    (HEAD + "blocks: [a]\n" + LAYERS, "E043", "2:9 [", "blocks must be a mapping, not a list", None),
    (HEAD + "blocks:\n  ConvBlock(k): [ReLU]\n" + LAYERS, "E047", "3:3 ConvBlock(k)", "named like conv_bn_relu", "CamelCase is for operators"),
    (HEAD + "blocks:\n  a b: [ReLU]\n" + LAYERS, "E047", "3:3 a b", "named like conv_bn_relu", None),
    (HEAD + "blocks:\n  a(k: [ReLU]\n" + LAYERS, "E047", "3:3 a(k", "named like conv_bn_relu", None),
    (HEAD + "blocks:\n  group: [ReLU]\n" + LAYERS, "E047", "3:3 group", "the language uses itself", "my_group"),
    (HEAD + "blocks:\n  a(k, k): [ReLU]\n" + LAYERS, "E047", "3:3 a(k, k)", "stands there twice", None),
    (HEAD + "blocks:\n  a(name): [ReLU]\n" + LAYERS, "E047", "3:3 a(name)", "not a free name", None),
    (HEAD + "blocks:\n  a(k,): [ReLU]\n" + LAYERS, "E047", "3:3 a(k,)", "(nothing)", None),
    (HEAD + "blocks:\n  a(k=): [ReLU]\n" + LAYERS, "E047", "3:3 a(k=)", "nothing stands behind k=", None),
    (HEAD + "blocks:\n  a(k=1, s): [ReLU]\n" + LAYERS, "E047", "3:3 a(k=1, s)", "s without a default follows", "come last"),
    (HEAD + "blocks:\n  a(k=1+): [ReLU]\n" + LAYERS, "E020", "3:3 a(", "cannot read the expression 1+", None),
    (HEAD + "blocks:\n  a: [ReLU]\n  a(k): [ReLU]\n" + LAYERS, "E006", "4:3 a(k)", "block a is defined twice", None),
    (HEAD + "blocks:\n  a: [a]\n" + LAYERS, "E048", "3:3 a", "may not call itself: a -> a", "use repeat"),
    (HEAD + "blocks:\n  a: [b]\n  b: [Add: {x: [group: {layers: [c]}], y: []}]\n  c: [a]\n" + LAYERS, "E048", "3:3 a", "a -> b -> c -> a", "use repeat"),
    (HEAD + "blocks:\n  a: [Convv]\n" + LAYERS, "E034", "3:7 Convv", "unknown operator Convv", "did you mean Conv"),
    (HEAD + "blocks:\n  a: [Conv2d: {out_channels: w, kernel_size: 1}]\nlayers: [a: {name: here}]\n", "E021", "3:30 w", "unknown name w", None),
    (HEAD + "blocks:\n" + "".join(f"  b{i}: [b{i + 1}]\n" for i in range(70)) + "  b70: [ReLU]\nlayers: [b0]", "E007", "66:9 b64", "more than 64 deep", "fewer blocks"),
    (HEAD + "layers: " + "[" * 40 + "]" * 40, "E007", "2:40 [", "32 levels deep", "block"),
    (HEAD + LAYERS + "variants: {v: {set: {x: 1}}}\n", "E049", "3:22 x", "variant v sets x, which is no param", "params"),
    (HEAD + LAYERS + "params: {x: 1}\nvariants: {v: {set: {x: }}}\n", "E049", "4:22 x", "no value", None),
    (HEAD + LAYERS + "variants: {v: {params: {x: 1}}}\n", "E044", "3:16 params", "variant v has no key params", "set"),
    (HEAD + LAYERS + "variants: {v: 3}\n", "E043", "3:15 3", "variant v must be a mapping", None),
    (HEAD + LAYERS + "variants: {a b: {}}\n", "E031", "3:12 a b", "spaces", None),
    (HEAD + LAYERS + "expect: {parms: 3}\n", "E050", "3:10 parms", "no total parms", "did you mean params?"),
    (HEAD + LAYERS + "expect: {params: many}\n", "E050", "3:18 many", "many is not a figure", "62,378,344"),
    (HEAD + LAYERS + "expect: {conv1: {shape: [3]}}\n", "E050", "3:18 shape", "has no shape", "known here"),
    (HEAD + LAYERS + "expect: {conv1: {output: 3}}\n", "E050", "3:26 3", "a list of sizes", "[96, 55, 55]"),
    (HEAD + LAYERS + "expect: [3]\n", "E043", "3:9 [", "expect must be a mapping", None),
    # YAML itself; tests/test_source.py has the rest of these
    (HEAD + "layers:\n  - ReLU\n - Tanh\n", "E003", "4:2 -", "does not belong", None),
    (HEAD + "layers:\n\t- ReLU\n", "E003", "3:1 \t", "a tab stands where YAML takes spaces only", "indent with spaces"),
    (HEAD + "layers:\n  - &a ReLU\n  - *a\n", "E004", "3:5 &", "anchor", "block"),
    (HEAD + "layers:\n  - !!str ReLU\n", "E005", "3:5 !", "tags are not allowed", None),
    (HEAD + "<<: {a: 1}\n" + LAYERS, "E005", "2:1 <<", "merge keys", None),
    (HEAD + HEAD + LAYERS, "E006", "2:1 input", "stands twice", "line 1"),
    (HEAD + LAYERS + "---\n" + HEAD, "E008", "3:1 -", "second document", None),
    (HEAD + "? [a]\n: b\n" + LAYERS, "E010", "2:3 [", "a key must be a name", None),
    (HEAD + LAYERS + "# \x07\n", "E002", "3:3 \x07", "U+0007", None),
    (HEAD + LAYERS + "#" * 65536, "E001", "1:1 ", "64 KiB", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "place", "message", "way_out"), FILES, ids=[f"{case[1]} {case[0][:60]}" for case in FILES]
)
def test_files(text: str, code: str, place: str, message: str, way_out: str | None) -> None:
    error = refusal(text)
    assert (error.code, where(error)) == (code, place)
    assert message in error.message
    if way_out is not None:
        assert error.help is not None
        assert way_out in error.help


VARIANT = (
    HEAD
    + "params: {deep: true, width: 3}\nlayers: [ReLU: {if: deep}, ReLU]\nvariants: {v: {set: {deep: 1}}, w: {set: {width: [1]}}}\n"
)


@pytest.mark.parametrize(
    ("variant", "place", "message"),
    [("v", "4:28 1", "deep must be true or false, like its default true, not 1"), ("w", "4:50 [", "width must be a number")],
)
def test_a_variant_sets_a_param_to_its_own_kind(variant: str, place: str, message: str) -> None:
    with pytest.raises(ArchcalcError) as raised:
        parse(VARIANT, "net.yaml").graph(variant)
    assert (raised.value.code, where(raised.value)) == ("E049", place)
    assert message in raised.value.message


ASKED = [
    # keyword arguments of load, code, words of the message, words of the way out
    ({"model": "no/such/file.yaml"}, "E200", "no file no/such/file.yaml", "archcalc list"),
    ({"model": "tests.yaml/"}, "E200", "tests.yaml/", None),
    ({"model": "."}, "E201", "no model .", None),
    ({"model": "resnet55"}, "E201", "no model resnet55", "did you mean resnet"),
    ({"model": "resnet18", "variant": "resnet19"}, "E202", "no variant resnet19", "did you mean resnet18?"),
    ({"model": "resnet:resnet19"}, "E202", "no variant resnet19", "did you mean resnet18?"),
    ({"model": "resnet18:resnet34"}, "E233", "resnet18:resnet34 is asked for as resnet18 and as resnet34", "name one: resnet:resnet34"),
    ({"model": "resnet18", "variant": "resnet34"}, "E233", "resnet18 is asked for as resnet18 and as resnet34", "name one: resnet:resnet34"),
    ({"model": "no.yaml:deep"}, "E200", "there is no file no.yaml", None),
    ({"model": "C:\\nets\\no.yaml"}, "E200", "there is no file C:\\nets\\no.yaml", None),
    ({"model": "C:no.yaml"}, "E200", "there is no file C:no.yaml", None),
    ({"model": "resent:resnet50"}, "E201", "there is no model resent:resnet50", "did you mean resnet50?"),
    ({"model": "resnet18", "set": {"widht": 3}}, "E203", "no param widht", "known here: bottleneck"),
    ({"model": "resnet18", "set": {"clases": 3}}, "E203", "no param clases", "did you mean classes?"),
    ({"model": "resnet18", "input": (3, 0, 3)}, "E204", "not 0 as in [3, 0, 3]", "channels, height, width"),
    ({"model": "resnet18", "input": {"image": (3, 8, 8)}}, "E204", "no input image", "input"),
    ({"model": "resnet18", "set": {"bottleneck": 1}}, "E205", "must be true or false, like its default true, not 1", "--set bottleneck=true"),
    ({"model": "resnet18", "set": {"depths": 10**5000}}, "E205", "must be a list", "--set depths=[3,4,6,3]"),
    ({"model": "resnet18", "set": {"classes": "x"}}, "E205", "classes must be a number", None),
    ({"model": "resnet18", "batch": 0}, "E207", "at least 1, not 0", None),
    ({"model": "resnet18", "batch": 2.5}, "E207", "not 2.5", None),
]  # fmt: skip


@pytest.mark.parametrize(("options", "code", "message", "way_out"), ASKED)
def test_what_is_asked_for(options: dict, code: str, message: str, way_out: str | None) -> None:
    with pytest.raises(ArchcalcError) as raised:
        archcalc.load(**options)
    assert raised.value.code == code
    assert message in raised.value.message
    assert way_out is None or way_out in (raised.value.help or "")


def test_a_plain_tuple_cannot_say_which_of_two_inputs_it_is() -> None:
    with pytest.raises(ArchcalcError, match="2 inputs: left, right"):
        archcalc.load(Path(__file__).parent / "data" / "specs" / "siamese.yaml", input=(1, 105, 105))


@pytest.mark.parametrize(("option", "code"), [({"dtype": "float23"}, "E206"), ({"rules": "tpu"}, "E208")])
def test_analyses_that_do_not_exist(option: dict, code: str) -> None:
    with pytest.raises(ArchcalcError) as raised:
        archcalc.analyse(archcalc.load("lenet5"), **option)
    assert raised.value.code == code


def test_an_error_inside_a_block_names_the_layer() -> None:
    top = "blocks:\n  half(k):\n    - group: {name: inner, layers: [Conv2d: {name: conv, out_channels: 8 / k, kernel_size: 1}]}\n"
    error = refusal(f"{HEAD}{top}layers:\n  - half: {{name: first, k: 2}}\n  - half: {{name: second, k: 3}}\n")
    assert (error.code, error.layer, where(error)) == ("E023", "second.inner.conv", "4:72 8 / k")
    assert error.message == "8 / 3 does not divide exactly"
    error = refusal(f"{HEAD}{top}layers:\n  - half: {{name: third, k: in_channels / 3}}\n")
    assert (error.code, error.layer, where(error)) == ("E023", "third", "6:28 in_channels / 3")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["compare", "lenet5"], "E227"),
        (["compare", *["lenet5"] * 40], "E228"),
    ],
)  # fmt: skip
def test_commands_name_the_code(run, arguments: list[str], code: str) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error[{code}]: ")


def test_what_python_asks_for_by_name() -> None:
    from archcalc.analysis.conventions import convention
    from archcalc.render.schemas import schema_text

    for ask, code in ((convention, "E209"), (schema_text, "E229")):
        with pytest.raises(ArchcalcError) as raised:
            ask("nobody")
        assert raised.value.code == code


def test_a_name_from_a_file_cannot_break_the_line_nor_command_the_terminal() -> None:
    error = refusal(HEAD + "layers:\n  - |\n    Conv2d\n    ReLU\n")
    assert error.message == "unknown operator Conv2d\\nReLU\\n"
    error = refusal(HEAD + 'layers: ["a\\e[31m"]\n')
    assert error.message == "unknown block a\\x1b[31m"
