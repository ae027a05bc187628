"""The words of hand calculations, in English, Korean, Japanese and Chinese: what each means, and nothing by resemblance.

Misspellings are words of the list like any other: seen in real notes, or one slip of the fingers away from a common word.
"""

import re
from collections.abc import Iterable

from archcalc.ops import OPS

# Quantities that a claim can be about.
QUANTITIES: dict[str, str] = {
    "params": (
        "parameters|parameter|params|param|# of parameters|number of parameters|no. of parameters|num parameters|"
        "num params|#params|#parameters|"
        "# params|# parameters|# parameter|# param|param #|trainable parameters|trainable params|"
        "learnable params|learnable parameters|parameter count|param count|parameters count|parms|parm|"
        "prameter|prameters|paramter|paramters|parmeter|parmeters|paramater|paramaters|parametr|parametrs|"
        "perameter|parameteres|paremeter|paremeters|"
        "파라미터|파라메터|파라메타|패러미터|매개변수|모수|파라미터 수|파라미터 개수|파라미터수|파라미터 갯수|"
        "매개변수 수|매개변수 개수|학습 파라미터|파라미터의 수|파라미터의 개수|"
        "パラメータ|パラメーター|パラメータ数|パラメーター数|パラメタ|学習パラメータ|参数|参数量|参数数量|参数个数|"
        "參數|參數量|参数总量"
    ),
    "weights": (
        "weights|weight|# weights|number of weights|weigths|wieghts|weihts|가중치|가중치 수|가중치 개수|重み|重みの数|"
        "权重|权重数|權重"
    ),
    "macs": (
        "macs|mac|# macs|mult-adds|mult-add|multiply-adds|multiply-accumulates|multiply-accumulate|multiply-add|"
        "madds|madd|mult adds|multiply adds|"
        "multiplications|# multiplications|number of multiplications|곱셈 수|곱셈 횟수|곱셈수|곱셈 누산|乗算回数|"
        "積和演算|乘加|乘法次数|乘法|乘加次数"
    ),
    "flops": "flops|flop|# flops|flop count|연산량|연산 수|연산수|연산 횟수|計算量|演算量|演算数|计算量|运算量|浮点运算量",
    "param_memory": (
        "parameter memory|parameters memory|param memory|params memory|weight memory|memory of parameters|"
        "parameter size|params size|model size|"
        "파라미터 메모리|가중치 메모리|모델 크기|パラメータメモリ|参数内存|模型大小"
    ),
    "memory": (
        "memory|mem|memory size|activation memory|activations|activation|activation size|memoy|meomry|메모리|"
        "메모리 크기|활성화 메모리|メモリ|メモリー|内存|显存|記憶體"
    ),
    "neurons": "neurons|# neurons|number of neurons|units in all|뉴런 수|뉴런 개수|ニューロン数|神经元数|神经元个数|神经元数量",
    "connections": (
        "connections|# connections|number of connections|conections|연결|연결 수|연결 개수|연결수|커넥션|接続数|結合数|"
        "连接|连接数|連接數"
    ),
    "output": (
        "output|outputs|out|output size|activation shape|output shape|output volume|output feature map|"
        "output feature maps|output dimension|output dim|ouput|outupt|"
        "otuput|feature map size|output tensor|activation volume|volume|출력|출력 크기|출력크기|출력 사이즈|"
        "출력층 크기|결과|결과 크기|결과크기|출력 특징맵|출력 피처맵|"
        "特徴マップ|出力|出力サイズ|输出|输出尺寸|输出大小|輸出|输出特征图"
    ),
    "input": (
        "input|inputs|in|input size|input shape|input volume|input image|input image size|input dimension|"
        "input dim|input layer|input tensor|inpt|imput|intput|"
        "입력|입력 크기|입력크기|입력 이미지|입력 이미지 크기|입력층|입력 사이즈|인풋|入力|入力サイズ|入力画像|"
        "入力層|输入|输入尺寸|输入图像|输入层|輸入"
    ),
    "flat": "flat|flatten|flattened|flattened size|flatten size|플래튼|평탄화|평탄화 크기|펼치면|フラット化|平坦化|展平",
}
TOTALS = (
    "total|totals|total number of|total no. of|total # of|overall|sum|sum of|in total|in all|altogether|"
    "grand total|whole network|entire network|tot|toatl|"
    "totla|all layers|총|총합|합계|합|전체|총 합|총계|모두|네트워크 전체|合計|総|総計|全体|総数|总|总计|总共|总和|合计|總|總計|全部"
)
# Operators: a word that opens a layer.
OPERATORS: dict[str, str] = {
    "Conv2d": (
        "convolution|convolutional|convolutional layer|convolution layer|conv layer|conv|conv2d|convolution2d|"
        "convultion|convolusion|convoluton|convlution|"
        "convoultion|conv. layer|conv.|합성곱|합성곱층|합성곱 계층|합성곱계층|합성곱 층|컨볼루션|컨벌루션|"
        "콘볼루션|컨볼루션 층|컨볼루션 레이어|컨볼루션 계층|畳み込み|畳み込み層|畳込み|卷积|卷积层|卷積|卷積層"
    ),
    "MaxPool2d": (
        "max pooling|maxpooling|max-pooling|max pool|maxpool|max-pool|maxpool2d|maxpooling2d|max pooling layer|"
        "pooling|pooling layer|pool layer|pool|poolling|pooing|"
        "poling|overlapping pooling|overlapping max pooling|풀링|풀링층|풀링 계층|풀링계층|풀링 레이어|맥스풀링|"
        "맥스 풀링|최대 풀링|최대풀링|최댓값 풀링|"
        "プーリング|プーリング層|最大プーリング|マックスプーリング|池化|池化层|最大池化|最大池化层|池化層"
    ),
    "AvgPool2d": (
        "average pooling|avg pooling|averagepooling|average-pooling|average pool|avg pool|avgpool|avg-pool|"
        "avgpool2d|averagepooling2d|mean pooling|"
        "subsampling|sub-sampling|subsample|subsampling layer|평균 풀링|평균풀링|에버리지 풀링|서브샘플링|"
        "平均プーリング|平均池化|平均池化层|サブサンプリング|下采样"
    ),
    "GlobalAvgPool2d": (
        "global average pooling|global avg pooling|global average pool|global avgpool|global avg pool|gap|"
        "globalaveragepooling2d|globalavgpool2d|전역 평균 풀링|"
        "글로벌 평균 풀링|全局平均池化|グローバル平均プーリング"
    ),
    "Linear": (
        "fully connected|fully-connected|fully connected layer|fully-connected layer|fully conneted|"
        "fully conected|full connection|fc|fc layer|dense|dense layer|"
        "linear|linear layer|inner product|affine|완전연결|완전연결층|완전연결계층|완전 연결|완전 연결층|"
        "완전 연결 계층|전결합|전결합층|전결합 계층|전연결층|전연결|밀집층|"
        "全結合|全結合層|全连接|全连接层|全連接層"
    ),
    "BatchNorm2d": (
        "batch normalization|batchnorm|batch norm|batch-norm|batchnormalization|batchnorm2d|bn|bn layer|배치 정규화|"
        "배치정규화|バッチ正規化|批归一化|批标准化"
    ),
    "LocalResponseNorm": (
        "local response normalization|local response norm|lrn|lrn layer|localresponsenorm|response normalization|"
        "response norm|norm|norm layer|normalization|"
        "normalization layer|지역 응답 정규화|국소 응답 정규화|정규화|局部响应归一化|局所応答正規化"
    ),
    "ReLU": "relu|relu layer|relu activation|렐루|activation relu",
    "Dropout": "dropout|drop-out|drop out|드롭아웃|ドロップアウト",
    "Softmax": "softmax|softmax layer|소프트맥스|ソフトマックス",
    "Flatten": "flatten layer|flattening|flatten",
    "ConvTranspose2d": "transposed convolution|deconvolution|convtranspose2d|conv transpose|전치 합성곱|転置畳み込み|转置卷积",
    "Conv1d": "conv1d|conv 1d|convolution1d|convolution 1d|1차원 합성곱",
    "Conv3d": "conv3d|conv 3d|convolution3d|convolution 3d|3차원 합성곱",
    "TrainableSubsample2d": "trainable subsampling",
    "LayerNorm": "layer normalization|layer norm|층 정규화|层归一化",
    "GroupNorm": "group normalization|group norm|그룹 정규화|组归一化",
}
# Verbs of prose, and merges: their lines say to what size, or of what (``special``).
_NO_WORDS = ("Resize", "Upsample", "Add", "Multiply", "Concat")
# What a layer line may say beside its operator.
ARGUMENTS: dict[str, str] = {
    "kernel": (
        "kernel size|kernel_size|kernelsize|filter size|filter_size|window size|window|pool size|pool_size|"
        "receptive field|kernel|k|f|z|size|of size|"
        "커널 크기|커널크기|커널 사이즈|필터 크기|필터크기|필터 사이즈|윈도우 크기|윈도우|カーネルサイズ|"
        "フィルタサイズ|卷积核大小|核大小|窗口大小|kerenl size|kernal size"
    ),
    "count": (
        "n|out|out_channels|out channels|output channels|number of filters|number of kernels|# filters|# kernels|"
        "num filters|num_filters|no. of filters|#filters|depth|"
        "out_features|number of units|number of neurons|필터 수|필터수|필터 개수|커널 수|커널수|커널 개수|"
        "출력 채널|출력 채널 수|채널 수|출력 채널수|units|유닛 수|"
        "フィルタ数|カーネル数|出力チャネル|出力チャンネル|卷积核数|卷积核个数|输出通道|输出通道数"
    ),
    "in": "in|in_channels|in channels|input channels|in_features|입력 채널|입력 채널 수|入力チャネル|输入通道",
    "stride": (
        "stride|strides|stride of|with stride|with a stride of|s|st|strid|stirde|strdie|stide|striding|"
        "스트라이드|스트라이드는|보폭|간격|ストライド|步长|步幅|步距"
    ),
    "padding": "padding|pad|p|zero padding|zero-padding|paddding|pading|padidng|패딩|제로 패딩|제로패딩|パディング|填充|补零|边距",
    "groups": "groups|group|g|그룹|グループ|分组|组数",
    "dilation": "dilation|d|dilated|dilation rate|rate|팽창|膨胀率",
    "bias": "bias|biases|편향|바이어스|バイアス|偏置",
}
# What is counted: 96 kernels, 4096 neurons.
COUNTED = (
    "kernels|kernel|kerenls|kerenl|kernals|kernal|kernerls|kenels|filters|filter|fliters|filers|filtes|neurons|"
    "neuron|nuerons|units|unit|nodes|node|hidden units|outputs|"
    "channels|channel|feature maps|feature map|maps|classes|way|-way|output channels|out channels|커널|필터|뉴런|"
    "유닛|노드|채널|클래스|특징맵|피처맵|피쳐맵|개|カーネル|フィルタ|フィルター|"
    "ニューロン|ユニット|チャネル|チャンネル|个卷积核|卷积核|滤波器|神经元|通道|個|个"
)
# What is counted of a tensor: it says nothing of a kernel.
COUNTED_MAPS = "channels|channel|feature maps|feature map|maps|채널|특징맵|피처맵|피쳐맵|チャネル|チャンネル|通道"
WORDS_OF_PADDING: dict[str, str] = {
    "same": "same|세임|동일",
    "valid": "valid|none|no|no padding|without padding|없음|없이|안 함|밸리드|なし|无|無",
}
YES = "true|yes|있음|あり|有"
NO = "false|no|none|without|없음|なし|无|無"
ROUNDINGS: dict[str, str] = {
    "ceil": "ceil_mode=true|ceil mode|ceil_mode|ceil|rounding up|rounded up|round up|올림",
    "floor": "rounding down|rounded down|round down|floor|버림|내림",
}
# Words that may stand in a layer line or beside a shape and change nothing.
FILLERS = (
    "at|class scores|class|scores|first|second|third|fourth|fifth|sixth|seventh|eighth|첫번째|두번째|세번째|네번째|다섯번째|"
    "여섯번째|일곱번째|여덟번째|첫 번째|두 번째|세 번째|네 번째|다섯 번째|"
    "pointwise|pw|layer|layers|the|a|an|of|with|and|by|using|use|each|per|image|images|pixels|"
    "pixel|px|feature|map|maps|f. map|f.map|f. maps|f.maps|f. map@|tensor|"
    "size|is|are|has|to|neurons|activation|function|rgb|color|channels|kernel|kernels|filter|filters|size of|spatial|dimension|"
    "은|는|이|가|을|를|의|로|으로|와|과|개|개의|인|짜리|크기|크기의|크기는|사이즈|사이즈의|이미지|이미지이다|"
    "이미지입니다|이다|입니다|이고|이며|층|계층|레이어|특징맵|피처맵|피쳐맵|적용|사용|후|"
    "の|を|は|で|と|个|的|为|和|枚|特徴マップ|特征图|图像|画像|層|层"
)
# What a layer of units is called by its place, where nothing says that it is fully connected.
HIDDEN = "hidden layer|은닉층|隠れ層|隐藏层"
UNITS = "output layer|final layer|last layer|출력층|출력 레이어|마지막 층|出力層|输出层"
DEPTHWISE = "depthwise|dw"
LAYERS = "layer|층|계층|레이어|層|层"  # the number behind it tells which one
POOLED = {"max": "MaxPool2d", "avg": "AvgPool2d", "average": "AvgPool2d", "mean": "AvgPool2d"}  # pool1: 3x3 max


def _alternatives(words: str) -> list[str]:
    return [word.strip() for word in words.split("|")]


def lower(text: str) -> str:
    """Return the text with its Latin capitals made small, every character in its place."""
    return text.translate(_SMALL)


_SMALL = {ord(letter): ord(letter.lower()) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _pattern(words: list[str]) -> str:
    """Return a pattern of these words, the longest first, for texts in small letters; a Latin word ends where its letters do."""
    longest_first = sorted(set(words), key=lambda word: (-len(word), word))
    return "|".join(re.escape(word) + (r"(?![a-z_])" if _is_latin(word[-1]) else "") for word in longest_first)


def _is_latin(character: str) -> bool:
    return character.isascii() and (character.isalpha() or character == "_")


class Lexicon:
    """Words that are looked for at a place in a text: a pattern of so many would take longer to compile than a page to read."""

    def __init__(self, words: Iterable[str]):
        self._by_start: dict[str, list[str]] = {}
        for word in sorted(set(words), key=len, reverse=True):
            self._by_start.setdefault(word[0], []).append(word)

    def at(self, text: str, place: int) -> str | None:
        """Return the longest word that stands at this place of a text in small letters."""
        if place >= len(text):
            return None
        for word in self._by_start.get(text[place], ()):
            if text.startswith(word, place):
                end = place + len(word)
                if not (_is_latin(word[-1]) and end < len(text) and _is_latin(text[end])):
                    return word
        return None


def _meanings(table: dict[str, str]) -> dict[str, str]:
    return {word: meaning for meaning, words in table.items() for word in _alternatives(words)}


QUANTITY_WORDS = _meanings(QUANTITIES)
OPERATOR_WORDS = {**{name.lower(): name for name in OPS if name not in _NO_WORDS}, **_meanings(OPERATORS)}
ARGUMENT_WORDS = _meanings(ARGUMENTS)
PADDING_WORDS = _meanings(WORDS_OF_PADDING)
ROUNDING_WORDS = _meanings(ROUNDINGS)
COUNTED_WORDS = frozenset(_alternatives(COUNTED))
COUNTED_MAPS_WORDS = frozenset(_alternatives(COUNTED_MAPS))
UNITS_WORDS, HIDDEN_WORDS = frozenset(_alternatives(UNITS)), frozenset(_alternatives(HIDDEN))
LAYERS_WORDS, DEPTHWISE_WORDS = frozenset(_alternatives(LAYERS)), frozenset(_alternatives(DEPTHWISE))
FILLER_WORDS = frozenset(_alternatives(FILLERS)) | UNITS_WORDS | HIDDEN_WORDS | DEPTHWISE_WORDS
YES_WORDS, NO_WORDS = frozenset(_alternatives(YES)), frozenset(_alternatives(NO))
TOTAL_WORDS = frozenset(_alternatives(TOTALS))

QUANTITY = _pattern(list(QUANTITY_WORDS))
_BIASES = r"bias(?:es)?(?=\s*[:=]\s*(?![01](?![0-9]|[.,][0-9]))[0-9(])"  # how many; bias=1 is an argument of a layer that has some
COUNTABLE = f"{QUANTITY}|{_BIASES}"
TOTAL = _pattern(list(TOTAL_WORDS))
INPUT = "|".join(sorted(map(re.escape, _alternatives(QUANTITIES["input"])), key=len, reverse=True))
OPERATOR_LEXICON = Lexicon(OPERATOR_WORDS)
FILLER_LEXICON = Lexicon(FILLER_WORDS)
LAYER_LEXICON = Lexicon(
    {
        *OPERATOR_WORDS,
        *ARGUMENT_WORDS,
        *PADDING_WORDS,
        *ROUNDING_WORDS,
        *COUNTED_WORDS,
        *FILLER_WORDS,
        *POOLED,
        *YES_WORDS,
        *NO_WORDS,
    }
)
