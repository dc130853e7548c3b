# %% names_the_product_of_the_dense_layer cell="trace" kind="wrong" says="another one stands above"
hot_operation = "aten::mm"
hot_layer = 3

# %% names_the_first_convolution cell="trace" kind="wrong" says="Layer 1 computes"
hot_operation = "aten::convolution_backward"
hot_layer = 1

# %% counts_layers_from_zero cell="trace" kind="wrong" says="1 to 4"
hot_operation = "aten::convolution_backward"
hot_layer = 0

# %% names_nothing cell="trace" kind="wrong" says="give the name that the trace prints"
hot_operation = None
hot_layer = 2

# %% names_the_pass_forward cell="trace" kind="right"
hot_operation = "aten::mkldnn_convolution"
hot_layer = sick_costs.hottest + 1

# %% names_the_dense_layer cell="diagnosis" kind="wrong" says="multiplied once an image"
cause = "dense-layer"
reading = sick_costs.hot_share

# %% names_the_optimizer cell="diagnosis" kind="wrong" says="once a step"
cause = "optimizer"
reading = sick_costs.hot_share

# %% reads_the_share_of_the_parameters cell="diagnosis" kind="wrong" says="another number"
cause = "wide-kernels"
reading = sick_costs.parameter_shares.max()


# %% returns_zeros kind="constant" says="it does not learn"
class Zeros(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.unused = nn.Linear(classes, classes)

    def forward(self, x):
        return x.new_zeros(len(x), self.unused.out_features)


def build_model(size, classes):
    return Zeros(classes)


def train(model, x, y):
    return [1.386]


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = fit


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return nn.Sequential(nn.Flatten(), no_such_layer(classes))


train = fit


# %% removes_the_dense_layer_only kind="wrong" says="More parameters went than multiply-adds"
def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 12, 7, padding=3),
        nn.ReLU(),
        nn.Conv2d(12, 12, 7, padding=3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, classes),
    )


train = fit


# %% narrows_one_kernel kind="wrong" says="Some of the multiply-adds are gone"
def build_model(size, classes):
    model = build_costly(size, classes)
    model[3] = nn.Conv2d(12, 12, 3, padding=1)
    return model


train = fit

# %% trains_on_a_quarter_of_the_images kind="wrong" says="Fewer images"
build_model = build_costly


def train(model, x, y):
    return fit(model, x[: len(x) // 4], y[: len(y) // 4])


# %% no_gradient_for_the_kernels kind="wrong" says="no gradient"
def build_model(size, classes):
    return build_costly(size, classes)


def train(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for rows in torch.randperm(len(x)).split(32):
        with torch.no_grad():
            maps = model[:7](x[rows])
        optimizer.zero_grad()
        F.cross_entropy(model[7:](maps), y[rows]).backward()
        optimizer.step()


# %% halves_the_image kind="wrong" says="Some of the multiply-adds are gone"
def build_model(size, classes):
    return nn.Sequential(nn.AvgPool2d(2), *build_costly(size // 2, classes))


train = fit


# %% shrinks_the_image_to_four_pixels kind="wrong" says="What was saved was needed"
def build_model(size, classes):
    return nn.Sequential(nn.AvgPool2d(size // 4), *build_costly(4, classes))


train = fit


# %% keeps_no_convolution kind="wrong" says="of the unseen images"
def build_model(size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% spends_it_on_more_epochs kind="wrong" says="spent again"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        layers += [nn.Conv2d(channels, filters, 3, stride, padding=1), nn.BatchNorm2d(filters)]
        layers.append(nn.ReLU())
        channels = filters
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


def train(model, x, y):
    return fit(model, x, y, epochs=24, rate=0.005)


# %% stacks_of_three_in_place_of_seven kind="right"
def block(inputs, outputs):
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]


def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8),
        *block(8, 8),
        nn.MaxPool2d(2),
        *block(8, 16),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (size // 4) ** 2, classes),
    )


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% depthwise_separable kind="right"
def separable(inputs, outputs):
    return [
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs),
        nn.Conv2d(inputs, outputs, 1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        *separable(8, 16),
        nn.MaxPool2d(2),
        *separable(16, 32),
        nn.MaxPool2d(2),
        *separable(32, 32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% bottleneck_keeps_the_wide_kernel kind="right"
def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 6, 1),
        nn.Conv2d(6, 6, 7, padding=3),
        nn.ReLU(),
        nn.Conv2d(6, 32, 1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 24, 3, padding=1),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, classes),
    )


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% factorises_the_kernels kind="right"
def seven(inputs, outputs):
    return [
        nn.Conv2d(inputs, outputs, (7, 1), padding=(3, 0)),
        nn.Conv2d(outputs, outputs, (1, 7), padding=(0, 3)),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]


def build_model(size, classes):
    return nn.Sequential(
        *seven(3, 8),
        *seven(8, 12),
        nn.Flatten(),
        nn.Linear(12 * (size // 4) ** 2, classes),
    )


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% residual_network_with_its_own_training kind="healthy"
class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.short = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short = nn.Conv2d(inputs, outputs, 1, stride=stride)

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.short(x) + self.norm2(self.conv2(y)))


class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(Block(12, 12, 1), Block(12, 24, 2))
        self.head = nn.Linear(24, classes)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.stem(x))).mean(dim=(2, 3)))


def build_model(size, classes):
    return Network(classes).to(lab.device)


def train(model, x, y):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8 * 15)
    model.train()
    for _ in range(8):
        for rows in torch.randperm(len(x), device=x.device).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()


# %% map_of_zeros cell="layer" kind="constant" says="differ from the loop's"
def layer(x, weight, stride, padding):
    rows = (x.shape[2] + 2 * padding - weight.shape[2]) // stride + 1
    columns = (x.shape[3] + 2 * padding - weight.shape[3]) // stride + 1
    return x.new_zeros(len(x), len(weight), rows, columns)


# %% no_map_at_all cell="layer" kind="constant" says="returned a NoneType"
def layer(x, weight, stride, padding):
    return None


# %% unknown_name cell="layer" kind="crash" says="no_such_function"
def layer(x, weight, stride, padding):
    return no_such_function(x, weight)


# %% compiles_the_loop cell="layer" kind="wrong" says="a wrapper or a compiler"
layer = torch.compile(loop_layer)


# %% loops_over_the_rows cell="layer" kind="wrong" says="One of the two loops"
def layer(x, weight, stride, padding):
    x = F.pad(x, (padding,) * 4)
    height, width = weight.shape[2:]
    lines = []
    for top in range(0, x.shape[2] - height + 1, stride):
        windows = x[:, :, top : top + height].unfold(3, width, stride)
        lines.append(torch.einsum("ncijw,fciw->nfj", windows, weight))
    return torch.stack(lines, dim=2)


# %% writes_the_map_position_by_position cell="layer" kind="wrong" says="for every position"
def layer(x, weight, stride, padding):
    x = F.pad(x, (padding,) * 4)
    filters, _, height, width = weight.shape
    rows = (x.shape[2] - height) // stride + 1
    columns = (x.shape[3] - width) // stride + 1
    maps = x.new_zeros(len(x), filters, rows, columns)
    flat = weight.reshape(filters, -1).T
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride, column * stride
            window = x[:, :, top : top + height, left : left + width]
            maps[:, :, row, column] = window.reshape(len(x), -1) @ flat
    return maps


# %% computes_in_numpy cell="layer" kind="wrong" says="no gradient arrives at the images"
def layer(x, weight, stride, padding):
    import numpy as np

    maps = np.pad(x.detach().numpy(), ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    sides = tuple(weight.shape[2:])
    windows = np.lib.stride_tricks.sliding_window_view(maps, sides, axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    return torch.from_numpy(np.einsum("ncijhw,fchw->nfij", windows, weight.detach().numpy()))


# %% forgets_the_padding cell="layer" kind="wrong" says="the output has the shape"
def layer(x, weight, stride, padding):
    return F.conv2d(x, weight, stride=stride)


# %% turns_the_kernel cell="layer" kind="wrong" says="order of the weights"
def layer(x, weight, stride, padding):
    return F.conv2d(x, weight.flip(2, 3), stride=stride, padding=padding)


# %% always_float32 cell="layer" kind="wrong" says="the output is float32"
def layer(x, weight, stride, padding):
    return F.conv2d(x.float(), weight.float(), stride=stride, padding=padding)


# %% float32_on_the_way cell="layer" kind="wrong" says="seven digits of sixteen"
def layer(x, weight, stride, padding):
    maps = F.conv2d(x.float(), weight.float(), stride=stride, padding=padding)
    return maps.to(x.dtype)


# %% centres_the_weights_in_place cell="layer" kind="wrong" says="writes into the arrays"
def layer(x, weight, stride, padding):
    with torch.no_grad():
        weight -= weight.mean()
    return F.conv2d(x, weight, stride=stride, padding=padding)


# %% weights_without_a_gradient cell="layer" kind="wrong" says="no gradient arrives at the weights"
def layer(x, weight, stride, padding):
    return F.conv2d(x, weight.detach(), stride=stride, padding=padding)


# %% unfold_and_a_matrix_product cell="layer" kind="right"
def layer(x, weight, stride, padding):
    filters, _, height, width = weight.shape
    columns = F.unfold(x, (height, width), padding=padding, stride=stride)
    maps = weight.reshape(filters, -1) @ columns
    rows = (x.shape[2] + 2 * padding - height) // stride + 1
    return maps.reshape(len(x), filters, rows, -1)


# %% windows_and_einsum cell="layer" kind="right"
def layer(x, weight, stride, padding):
    x = F.pad(x, (padding,) * 4)
    windows = x.unfold(2, weight.shape[2], stride).unfold(3, weight.shape[3], stride)
    return torch.einsum("ncijhw,fchw->nfij", windows, weight)


# %% loop_over_the_kernel cell="layer" kind="right"
def layer(x, weight, stride, padding):
    x = F.pad(x, (padding,) * 4)
    height, width = weight.shape[2:]
    rows = (x.shape[2] - height) // stride + 1
    columns = (x.shape[3] - width) // stride + 1
    maps = 0
    for i in range(height):
        for j in range(width):
            met = x[:, :, i : i + rows * stride : stride, j : j + columns * stride : stride]
            maps = maps + torch.einsum("nchw,fc->nfhw", met, weight[:, :, i, j])
    return maps


# %% compiled_on_top cell="layer" kind="right"
@torch.compile
def layer(x, weight, stride, padding):
    return F.conv2d(x, weight, stride=stride, padding=padding)


# %% module_with_its_own_way_back cell="layer" kind="healthy"
class Windows(torch.autograd.Function):
    """Outputs and gradients by matrix products of windows; nothing is left to autograd."""

    @staticmethod
    def forward(ctx, x, weight, stride, padding):
        sides = weight.shape[2:]
        columns = F.unfold(x, sides, padding=padding, stride=stride)
        ctx.save_for_backward(columns, weight)
        ctx.rest = x.shape[2:], sides, stride, padding
        rows = (x.shape[2] + 2 * padding - sides[0]) // stride + 1
        return (weight.flatten(1) @ columns).reshape(len(x), len(weight), rows, -1)

    @staticmethod
    def backward(ctx, towards):
        columns, weight = ctx.saved_tensors
        image, sides, stride, padding = ctx.rest
        towards = towards.flatten(2)
        of_columns = weight.flatten(1).T @ towards
        of_x = F.fold(of_columns, image, sides, padding=padding, stride=stride)
        of_weight = torch.einsum("nfl,nkl->fk", towards, columns).reshape(weight.shape)
        return of_x, of_weight, None, None


class Layer(nn.Module):
    def forward(self, x, weight, stride, padding):
        return Windows.apply(x, weight, stride, padding)


layer = Layer()
