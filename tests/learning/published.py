"""The figures that papers and tools print, each with where it stands; what archcalc computes is never written here."""

# google-research/receptive_field, its table of networks: receptive field, effective stride, effective padding of the feature maps.
FIELDS = (
    ("alexnet", "pool5", "alexnet_v2", "195/32/64"),
    ("vgg_a", "features.pool5", "vgg_a", "150/32/59"),
    ("vgg16", "features.pool5", "vgg_16", "212/32/90"),
)

# LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", section II.B: for each layer its
# trainable parameters and its connections; C5 and F6 have one number for both, "trainable connections".
LENET5 = (
    ("C1", "156", "122,304"),
    ("S2", "12", "5,880"),
    ("C3", "1,516", "151,600"),
    ("S4", "32", "2,000"),
    ("C5", "48,120", "48,120"),
    ("F6", "10,164", "10,164"),
)
LENET5_TOTALS = ("60,000", "340,908")  # parameters, connections
LENET5_TABLE_1 = (
    "012 123 234 345 045 015 0123 1234 2345 0345 0145 0125 0134 1245 0235 012345"  # the maps of S2 that each map of C3 sees
)

# Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks": the kernels of section 3.5,
# the neurons of Fig. 2, the totals of the abstract.
ALEXNET = (
    ("conv1", "96 of 11x11x3, stride 4", "253,440"),
    ("conv2", "256 of 5x5x48", "186,624"),
    ("conv3", "384 of 3x3x256", "64,896"),
    ("conv4", "384 of 3x3x192", "64,896"),
    ("conv5", "256 of 3x3x192", "43,264"),
    ("fc6", "4096", "4096"),
    ("fc7", "4096", "4096"),
    ("fc8", "1000", "1000"),
)
ALEXNET_INPUT = "150,528"
ALEXNET_TOTALS = ("60 million", "650,000")  # parameters, neurons

# Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition", Tables 1 and 2: for each column
# the convolutions of its five stages, its weight layers, its parameters in millions.
VGG = {
    "A": ("vgg_a", "3-64; 3-128; 3-256 3-256; 3-512 3-512; 3-512 3-512", 11, "133"),
    "A-LRN": ("vgg_a_lrn", "3-64 LRN; 3-128; 3-256 3-256; 3-512 3-512; 3-512 3-512", 11, "133"),
    "B": ("vgg_b", "3-64 3-64; 3-128 3-128; 3-256 3-256; 3-512 3-512; 3-512 3-512", 13, "133"),
    "C": ("vgg_c", "3-64 3-64; 3-128 3-128; 3-256 3-256 1-256; 3-512 3-512 1-512; 3-512 3-512 1-512", 16, "134"),
    "D": ("vgg_d", "3-64 3-64; 3-128 3-128; 3-256 3-256 3-256; 3-512 3-512 3-512; 3-512 3-512 3-512", 16, "138"),
    "E": ("vgg_e", "3-64 3-64; 3-128 3-128; 3-256 3-256 3-256 3-256; 3-512 3-512 3-512 3-512; 3-512 3-512 3-512 3-512", 19, "144"),
}
VGG_MORE = "81%"  # section 2.3: a 7x7 layer has 81% more parameters than three of 3x3

# Szegedy, Liu, Jia and others 2015, "Going deeper with convolutions", Table 1: output, the six columns of widths, params, ops.
GOOGLENET = (
    ("conv1", "112x112x64", None, "2.7K", "34M"),
    ("conv2", "56x56x192", None, "112K", "360M"),
    ("3a", "28x28x256", (64, 96, 128, 16, 32, 32), "159K", "128M"),
    ("3b", "28x28x480", (128, 128, 192, 32, 96, 64), "380K", "304M"),
    ("4a", "14x14x512", (192, 96, 208, 16, 48, 64), "364K", "73M"),
    ("4b", "14x14x512", (160, 112, 224, 24, 64, 64), "437K", "88M"),
    ("4c", "14x14x512", (128, 128, 256, 24, 64, 64), "463K", "100M"),
    ("4d", "14x14x528", (112, 144, 288, 32, 64, 64), "580K", "119M"),
    ("4e", "14x14x832", (256, 160, 320, 32, 128, 128), "840K", "170M"),
    ("5a", "7x7x832", (256, 160, 320, 32, 128, 128), "1072K", "54M"),
    ("5b", "7x7x1024", (384, 192, 384, 48, 128, 128), "1388K", "71M"),
    ("linear", "1x1x1000", None, "1000K", "1M"),
)
GOOGLENET_OPERATIONS = "1.5G"  # section 1, "1.5 billion multiply-adds"
GOOGLENET_FEWER = 12  # section 1: times fewer parameters than AlexNet

# He, Zhang, Ren, Sun 2016, "Deep residual learning for image recognition": Table 1 (units per stage and multiply-adds, in 1e9),
# Table 6 (parameters, CIFAR-10), and the VGG nets' multiply-adds in sections 3.3 and 4.1.
RESNET_OUTPUTS = ("112x112", "56x56", "28x28", "14x14", "7x7")
RESNET = (
    (18, (2, 2, 2, 2), "1.8G", "resnet18_a"),
    (34, (3, 4, 6, 3), "3.6G", "resnet34_a"),
    (50, (3, 4, 6, 3), "3.8G", "resnet50_v1"),
    (101, (3, 4, 23, 3), "7.6G", "resnet101_v1"),
    (152, (3, 8, 36, 3), "11.3G", "resnet152_v1"),
)
RESNET_CIFAR = ((20, "0.27M"), (32, "0.46M"), (44, "0.66M"), (56, "0.85M"), (110, "1.7M"), (1202, "19.4M"))
RESNET_VGG = ("15.3G", "19.6G")
# The same, "Identity mappings in deep residual networks" (2016), Table 4.
RESNET_PREACT = ((164, "1.7M"), (1001, "10.2M"))

# Huang, Liu, van der Maaten, Weinberger 2017, "Densely connected convolutional networks": Table 1 (output of each block and of each
# transition's convolution and pool, layers per block) and Table 2 (parameters, CIFAR-10).
DENSENET_OUTPUTS = ("56x56", "28x28", "14x14", "7x7")
DENSENET = ((121, (6, 12, 24, 16)), (169, (6, 12, 32, 32)), (201, (6, 12, 48, 32)), (264, (6, 12, 64, 48)))
DENSENET_201 = "20M"  # section 4.3
DENSENET_CIFAR = (
    ("L=40, k=12", "densenet_40_12", "1.0M"),
    ("L=100, k=12", "densenet_100_12", "7.0M"),
    ("L=100, k=24", "densenet_100_24", "27.2M"),
    ("BC, L=100, k=12", "densenet_bc_100_12", "0.8M"),
    ("BC, L=250, k=24", "densenet_bc_250_24", "15.3M"),
    ("BC, L=190, k=40", "densenet_bc_190_40", "25.6M"),
)
