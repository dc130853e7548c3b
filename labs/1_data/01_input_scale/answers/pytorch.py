# %% names_the_cause_reads_guessing cell="diagnosis" kind="wrong" says="another number"
cause = "input-scale"
reading = 2.303

# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="before any step is taken"
cause = "learning-rate"
reading = float(losses[0])

# %% reads_the_last_loss cell="diagnosis" kind="wrong" says="another number"
cause = "input-scale"
reading = float(losses[-20:].mean())

# %% returns_zeros kind="constant" says="one and the same number"
import torch

learning_rate = 0.02


def train_batch(images):
    return torch.zeros(len(images), 3, *images.shape[1:3])


serve_batch = train_batch
build_model = plain_model

# %% returns_nothing kind="constant" says="return one prepared image for each"
learning_rate = 0.02


def train_batch(images):
    return None


serve_batch = train_batch
build_model = plain_model

# %% raises_when_called kind="crash" says="no_such_function"
learning_rate = 0.02


def train_batch(images):
    return no_such_function(images)


serve_batch = train_batch
build_model = plain_model

# %% lowers_the_learning_rate kind="wrong" says="no learning rate can change this"
learning_rate = 0.0002


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch
build_model = plain_model

# %% normalises_after_the_first_convolution kind="wrong" says="standard deviations between"
# Training hides the raw values behind batch statistics; serving still sends them.
from torch import nn

learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255


def serve_batch(images):
    return lab.fw.from_images(images)


def build_model(size, classes):
    first, *rest = plain_model(size, classes)
    return nn.Sequential(first, nn.BatchNorm2d(16), *rest)


# %% scales_in_training_only kind="wrong" says="standard deviations between"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255


def serve_batch(images):
    return lab.fw.from_images(images)


build_model = plain_model

# %% scales_in_serving_only kind="wrong" says="before any step"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images)


def serve_batch(images):
    return lab.fw.from_images(images) / 255


build_model = plain_model

# %% divides_twice kind="wrong" says="standard deviation of only 0.0"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255 / 255


serve_batch = train_batch
build_model = plain_model

# %% divides_twice_in_serving kind="wrong" says="standard deviations between"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255


def serve_batch(images):
    return train_batch(images) / 255


build_model = plain_model

# %% clips_to_one kind="wrong" says="one and the same number"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images).clamp(0, 1)


serve_batch = train_batch
build_model = plain_model

# %% takes_statistics_of_the_batch kind="wrong" says="neighbours"
learning_rate = 0.02


def train_batch(images):
    x = lab.fw.from_images(images)
    return (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)


serve_batch = train_batch
build_model = plain_model

# %% scales_inside_the_model_while_training kind="wrong" says="the served model is right on"
# What is prepared is the same on both paths; the model itself takes two paths.
from torch import nn

learning_rate = 0.02


class ScaledInTraining(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x / 255 if self.training else x)


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    return ScaledInTraining(plain_model(size, classes))


# %% scales_to_plus_minus_one kind="right"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 127.5 - 1


serve_batch = train_batch
build_model = plain_model

# %% standardises_with_training_images kind="right"
import torch
from torchvision.transforms import v2

learning_rate = 0.02
mean, std = train.images.mean(axis=(0, 1, 2)) / 255, train.images.std(axis=(0, 1, 2)) / 255
prepare = v2.Compose(
    [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean.tolist(), std.tolist())]
)


def train_batch(images):
    return torch.stack([prepare(image) for image in images])


serve_batch = train_batch
build_model = plain_model

# %% standardises_each_image kind="right"
learning_rate = 0.02


def train_batch(images):
    x = lab.fw.from_images(images)
    return (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 1)


serve_batch = train_batch
build_model = plain_model

# %% normalises_inside_the_model kind="right"
from torch import nn

learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    return nn.Sequential(nn.BatchNorm2d(3), plain_model(size, classes)).to(lab.device)


# %% divides_inside_the_model kind="right"
from torch import nn

learning_rate = 0.02


class Scaled(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x.float() / 255)


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    return Scaled(plain_model(size, classes))


# %% another_program kind="healthy"
import torch
from torch import nn
from torch.nn import functional as F

learning_rate = 0.03


class Averaging(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.fine = nn.Conv2d(3, 24, 3, padding=1)
        self.coarse = nn.Conv2d(24, 48, 3, padding=1)
        self.head = nn.Linear(48 * (size // 4) ** 2, classes)

    def forward(self, x):
        x = F.avg_pool2d(F.elu(self.fine(x)), 2)
        x = F.avg_pool2d(F.elu(self.coarse(x)), 2)
        return self.head(x.flatten(1))


def train_batch(images):
    x = torch.as_tensor(images).permute(0, 3, 1, 2).to(torch.float32)
    return x.div(255).sub(0.4).div(0.15)


def serve_batch(images):
    return torch.cat([train_batch(images[i : i + 1]) for i in range(len(images))])


def build_model(size, classes):
    return Averaging(size, classes).to(lab.device)
