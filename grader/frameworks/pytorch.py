"""PyTorch behind the course's framework interface (see `grader.frameworks`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from grader.errors import ClinicError
from grader.frameworks.base import LayerCost, LayerGradient, LayerOutput
from grader.frameworks.order import batch_order

NAME = "pytorch"
TITLE = "PyTorch"
VERSION = torch.__version__


def choose_device(request: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda", ...; an accelerator is found, never assumed."""
    if request == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(request)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ClinicError(
            f"PyTorch cannot use the device {request!r} on this machine; "
            'use device="auto" to take what is there.'
        ) from error
    return device


def describe_device(device: torch.device) -> str:
    """Return a short name of the device for a picture's caption."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch, and ask for deterministic algorithms where they exist."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


def to_numpy(value: Any) -> np.ndarray:
    """Return a tensor, array or list as a NumPy array on the host."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)


def from_images(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return uint8 or float images (N, H, W, C) as float32 (N, C, H, W), values unchanged."""
    array = np.ascontiguousarray(np.moveaxis(np.asarray(images), -1, 1), dtype=np.float32)
    return torch.from_numpy(array).to(device)


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _on(model: nn.Module, x: Any) -> torch.Tensor:
    tensor = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    return tensor.to(_device_of(model))


def _labels(y: Any, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(to_numpy(y).astype(np.int64), device=device)


def loss(model: nn.Module, x: Any, y: Any, *, training: bool) -> float:
    """Mean cross-entropy (nats) of the model's logits on a batch.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
        training: True measures as in a training step (batch statistics, dropout on), without
            changing the model's running statistics for good.
    """
    state = {name: b.clone() for name, b in model.named_buffers()}
    was_training = model.training
    model.train(training)
    with torch.no_grad():
        logits = model(_on(model, x))
        value = float(F.cross_entropy(logits.float(), _labels(y, logits.device)))
    model.train(was_training)
    for name, buffer in model.named_buffers():
        if name in state:
            buffer.copy_(state[name])
    return value


def train(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    momentum: float = 0.9,
    optimizer: str = "sgd",
    seed: int = 0,
    loss_scale: float = 1.0,
    on_step: Callable[[int, float], None] | None = None,
) -> np.ndarray:
    """Train in place on cross-entropy from logits; return the loss of every step, shape (steps,).

    Batches are drawn without replacement within an epoch, in an order that depends on `seed` only
    and is the same in both frameworks. `optimizer` is "sgd" or "adam". `loss_scale` multiplies the
    loss before the gradient (a summed loss is a mean loss times the batch size). Training stops
    early, and the rest of the returned losses is NaN, once a loss is not finite.
    """
    device = _device_of(model)
    inputs = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    labels = torch.as_tensor(to_numpy(y).astype(np.int64))
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        return np.full(steps, np.nan)
    update: torch.optim.Optimizer
    if optimizer == "adam":
        update = torch.optim.Adam(parameters, lr=learning_rate)
    else:
        update = torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum)
    losses = np.full(steps, np.nan)
    model.train()
    for step, index in enumerate(batch_order(len(labels), batch_size, steps, seed)):
        rows = torch.from_numpy(index)
        update.zero_grad(set_to_none=True)
        value = F.cross_entropy(model(inputs[rows].to(device)), labels[rows].to(device))
        (value * loss_scale).backward()
        update.step()
        losses[step] = float(value.detach())
        if on_step is not None:
            on_step(step, losses[step])
        if not np.isfinite(losses[step]):
            break
    return losses


def predict(model: nn.Module, x: Any, *, batch_size: int = 256) -> np.ndarray:
    """Return the model's outputs in evaluation mode, float32 (N, K)."""
    was_training = model.training
    model.eval()
    inputs = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    device = _device_of(model)
    with torch.no_grad():
        parts = [
            model(inputs[i : i + batch_size].to(device)).float().cpu().numpy()
            for i in range(0, len(inputs), batch_size)
        ]
    model.train(was_training)
    return np.concatenate(parts)


def _weight_layers(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Weights of convolutions and dense layers in the order of the forward definition."""
    return [(name, p) for name, p in model.named_parameters() if p.ndim >= 2]


def layer_gradients(model: nn.Module, x: Any, y: Any) -> list[LayerGradient]:
    """Gradient and weight norm of every convolution and dense layer, input side first.

    Frozen layers are measured too: the gradient that would arrive, not the one that is used.
    The model is left as it was.
    """
    layers = _weight_layers(model)
    frozen = [p for _, p in layers if not p.requires_grad]
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    was_training = model.training
    for p in frozen:
        p.requires_grad_(True)
    model.train()
    logits = model(_on(model, x))
    value = F.cross_entropy(logits.float(), _labels(y, logits.device))
    # Logits that no parameter enters have no graph to go back through: no gradient anywhere.
    gradients = (
        torch.autograd.grad(value, [p for _, p in layers], allow_unused=True)
        if value.requires_grad and layers
        else [None] * len(layers)
    )
    result = [
        LayerGradient(
            name.removesuffix(".weight"),
            0.0 if g is None else float(g.norm()),
            float(p.detach().norm()),
        )
        for (name, p), g in zip(layers, gradients, strict=True)
    ]
    for p in frozen:
        p.requires_grad_(False)
    model.train(was_training)
    for name, buffer in model.named_buffers():
        if name in buffers:
            buffer.copy_(buffers[name])
    return result


def parameter_count(model: nn.Module) -> int:
    """Number of parameters, frozen ones included, buffers not."""
    return sum(p.numel() for p in model.parameters())


def get_state(model: nn.Module) -> list[np.ndarray]:
    """Copies of all parameters and buffers, in a fixed order."""
    return [v.detach().cpu().numpy().copy() for v in model.state_dict().values()]


def set_state(model: nn.Module, state: list[np.ndarray]) -> None:
    """Restore what `get_state` returned."""
    own = model.state_dict()
    model.load_state_dict(
        {k: torch.as_tensor(v) for k, v in zip(own, state, strict=True)}, strict=True
    )


def is_model(value: Any) -> bool:
    """True for something that can be trained here."""
    return isinstance(value, nn.Module)


def small_network(
    size: int, classes: int, *, width: int, seed: int, device: torch.device | str = "cpu"
) -> nn.Module:
    """A fresh convolutional network whose weights depend on the arguments only.

    Three times convolution 3x3, batch normalisation, ReLU, with `width`, then twice `2 * width`
    filters; the maps are halved after the first two; global average and a dense layer.

    Args:
        size: pixels on a side.  classes: number of logits.
    """
    del size  # the average over the map fits any size; Keras needs it to create the weights
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *_block(3, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 2 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * width, classes),
        ).to(device)


def _block(inputs: int, filters: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU()]


def from_labels(labels: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return labels (N,) as int64 (N,)."""
    return torch.as_tensor(np.asarray(labels), dtype=torch.int64, device=device)


def cross_entropy(*, reduction: str = "mean", weight: float = 1.0) -> Callable[..., torch.Tensor]:
    """Cross-entropy from logits (nats), called as PyTorch calls a loss: (logits, labels).

    Args:
        reduction: over the images of a batch, "mean" or "sum".
        weight: a factor in front, as for one term of a loss that has several.
    """
    entropy = nn.CrossEntropyLoss(reduction=reduction)
    return lambda logits, labels: weight * entropy(logits, labels)


def train_at_rates(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    rates: np.ndarray,
    batch_size: int,
    loss_function: Callable[..., torch.Tensor],
    momentum: float = 0.9,
    seed: int = 0,
) -> np.ndarray:
    """Train from the same start once for every row of rates; return the losses.

    A row of equal rates is a training as usual, a row of rising rates is a range test. The batches
    are the same in every row, in the order of `train`. The model is left as it was.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
        rates: learning rate of every step, (runs, steps).
        loss_function: what is minimised, (logits, labels) -> a number.
        momentum: of stochastic gradient descent.

    Returns:
        Mean cross-entropy of every step's batch (nats), whatever `loss_function` returns; float64
        (runs, steps). From the first loss that is not finite a row is NaN.
    """
    rates = np.atleast_2d(np.asarray(rates, dtype=np.float64))
    device = _device_of(model)
    inputs = (x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))).to(device)
    labels = _labels(y, device)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    was_training = model.training
    losses = np.full(rates.shape, np.nan)
    order = batch_order(len(labels), batch_size, rates.shape[1], seed)
    model.train()
    for run, row in enumerate(rates):
        model.load_state_dict(start)
        update = torch.optim.SGD(model.parameters(), lr=0.0, momentum=momentum)
        for step, index in enumerate(order):
            update.param_groups[0]["lr"] = row[step]
            rows = torch.from_numpy(index).to(device)
            update.zero_grad(set_to_none=True)
            logits = model(inputs[rows])
            loss_function(logits, labels[rows]).backward()
            value = float(F.cross_entropy(logits.detach().float(), labels[rows]))
            if not np.isfinite(value):
                break
            losses[run, step] = value
            update.step()
    model.load_state_dict(start)
    model.train(was_training)
    return losses


def count_training_calls(model: nn.Module) -> Callable[[], int]:
    """Return a function that says how often the model was called in training mode since now."""
    calls = 0

    def count(module: nn.Module, inputs: Any) -> None:
        nonlocal calls
        calls += module.training

    model.register_forward_pre_hook(count)
    return lambda: calls


def as_images(x: Any) -> np.ndarray:
    """Undo `from_images`: what a model eats as a NumPy array (N, H, W, C), values unchanged."""
    return np.moveaxis(to_numpy(x), 1, -1)


def plain_cnn(size: int, classes: int) -> nn.Module:
    """The plain patient: two convolutions with pooling, one hidden layer, logits; for size >= 4 px.

    No normalisation, so the scale of the input reaches the loss. Glorot initialisation with zero
    biases (Keras's default) in both frameworks, so that both patients start alike.
    """
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 64), nn.ReLU(),
        nn.Linear(64, classes),
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return model


def entering_first_layer(model: nn.Module, x: Any) -> np.ndarray | None:
    """What reaches the first convolution or dense layer in a training step, NumPy, channels last.

    Differs from x where the model itself normalises its input. None when the model multiplies by
    weights outside of such layers. The model is left as it was.
    """
    seen: list[torch.Tensor] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for module in model.modules()
        if any(p.ndim >= 2 for p in module.parameters(recurse=False))
    ]
    try:
        loss(model, x, np.zeros(len(x), np.int64), training=True)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        return None
    return as_images(seen[0]) if seen[0].ndim == 4 else to_numpy(seen[0])


def deep_stack(size: int, classes: int) -> nn.Module:
    """The deep patient: fourteen convolutions 3x3 with ReLU, 16 filters each, and a dense layer.

    The maps are halved after the first and the second convolution, so size is at least 4 px.
    Weights and biases are uniform within 1 / sqrt(inputs), PyTorch's default, in both frameworks;
    behind a ReLU a layer passes on about 1/6 of a signal's variance (He et al. 2015, section 2.2,
    ask for all of it).
    """
    layers: list[nn.Module] = []
    channels = 3
    for number in range(1, 15):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        channels = 16
        if number in (1, 2):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, classes))


def predict_in_training(model: nn.Module, x: Any) -> np.ndarray:
    """The model's outputs as in a training step, all images as one batch, float32 (N, K).

    Layers that keep running statistics use the batch's own. The model is left as it was.
    """
    state = {name: b.clone() for name, b in model.named_buffers()}
    was_training = model.training
    model.train()
    with torch.no_grad():
        outputs = model(_on(model, x)).float().cpu().numpy()
    model.train(was_training)
    for name, buffer in model.named_buffers():
        if name in state:
            buffer.copy_(state[name])
    return outputs


def batch_dependence(logits_of: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Norm of the gradient of each sample's loss with respect to each sample of the batch.

    Args:
        logits_of: maps x to logits (N, K), in the framework's own operations.
        x: float, first axis N.  y: int labels (N,).

    Returns:
        float64 (N, N): row i, column j is |d loss_i / d x_j|. Off the diagonal it is zero where
        samples do not see each other.
    """
    start = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    inputs = start.detach().clone().requires_grad_(True)
    logits = logits_of(inputs)
    losses = F.cross_entropy(logits.float(), _labels(y, logits.device), reduction="none")
    rows = []
    for value in losses:
        (gradient,) = torch.autograd.grad(value, inputs, retain_graph=True)
        rows.append(gradient.flatten(1).norm(dim=1).double().cpu().numpy())
    return np.stack(rows)


def outputs_after_training(
    model: nn.Module,
    sets: list[tuple[Any, Any]],
    unseen: Any,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
) -> np.ndarray:
    """Train from the same start once for every set; return what is then said of unseen images.

    Adam, from `learning_rate` in a straight line to 0, so that the end is steady. The batches are
    the same in both frameworks. The model is left as it was.

    Args:
        model: maps x to logits (N, K).
        sets: pairs of what the model eats, first axis N, and int labels (N,).
        unseen: what the model eats, first axis M.

    Returns:
        Logits, float32 (sets, M, K).
    """
    device = _device_of(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    was_training = model.training
    outputs = []
    for x, y in sets:
        model.load_state_dict(start)
        model.train()
        inputs = (x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))).to(device)
        labels = _labels(y, device)
        update = torch.optim.Adam(model.parameters(), lr=learning_rate)
        for step, index in enumerate(batch_order(len(labels), batch_size, steps, seed)):
            update.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
            rows = torch.from_numpy(index).to(device)
            update.zero_grad(set_to_none=True)
            F.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            update.step()
        outputs.append(predict(model, unseen))
    model.load_state_dict(start)
    model.train(was_training)
    return np.stack(outputs)


def two_block_network(
    size: int, classes: int, *, width: int, seed: int, device: torch.device | str = "cpu"
) -> nn.Module:
    """A fresh small network whose weights depend on the arguments only; for size >= 4 px.

    Twice convolution 3x3, batch normalisation, ReLU and halving, with `width`, then `2 * width`
    filters; then one dense layer, which still sees where in the image something is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *_block(3, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (size // 4) ** 2, classes),
        ).to(device)


def quick_cnn(size: int, classes: int) -> nn.Module:
    """A network that is cheap enough to be trained many times, and memorises what it is told.

    Convolutions 5x5 to 12 and 3x3 to 16, both with stride 2, a hidden layer of 48, logits. He
    initialisation with zero biases in both frameworks.
    """
    n = ((size + 1) // 2 + 1) // 2
    model = nn.Sequential(
        nn.Conv2d(3, 12, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(12, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * n * n, 48), nn.ReLU(),
        nn.Linear(48, classes),
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
        else:
            nn.init.zeros_(parameter)
    return model


def _simple_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules that are called as one: without children, or attention, which uses its own inside."""
    named = [(name or type(m).__name__, m) for name, m in model.named_modules()]
    attention = [m for _, m in named if isinstance(m, nn.MultiheadAttention)]
    inside = {id(child) for m in attention for child in m.children()}
    return [
        (name, m)
        for name, m in named
        if m in attention or (not list(m.children()) and id(m) not in inside)
    ]


def _call_watched(model: nn.Module, x: torch.Tensor, watch: Callable[..., None]) -> None:
    """Call the model in evaluation mode; `watch(name, module, output)` sees every simple layer."""

    def seen(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and tensor.ndim >= 2:
                watch(name, module, tensor)

        return hook

    hooks = [m.register_forward_hook(seen(name)) for name, m in _simple_layers(model)]
    was_training = model.training
    model.eval()
    try:
        model(x)
    finally:
        model.train(was_training)
        for handle in hooks:
            handle.remove()


def _channels_last(output: np.ndarray) -> np.ndarray:
    return np.moveaxis(output, 1, -1) if output.ndim == 4 else output


def layer_outputs(model: nn.Module, x: Any, *, batch_size: int = 256) -> list[LayerOutput]:
    """What every layer gives in evaluation mode, in the order in which the layers are called.

    A layer that is called twice is listed twice. What is computed without a layer (a function, an
    addition) is not listed. The model is left as it was.

    Args:
        x: what the model eats, first axis N.
    """
    inputs = _on(model, x)
    parts: list[list[LayerOutput]] = []

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        # A copy now: the next layer may work in place.
        values = np.array(_channels_last(to_numpy(output.float())))
        parts[-1].append(LayerOutput(name, type(module).__name__, values))

    with torch.no_grad():
        for start in range(0, len(inputs), batch_size):
            parts.append([])
            _call_watched(model, inputs[start : start + batch_size], note)
    return [
        LayerOutput(same[0].name, same[0].kind, np.concatenate([part.output for part in same]))
        for same in zip(*parts, strict=True)
    ]


def layer_costs(model: nn.Module, x: Any) -> list[LayerCost]:
    """What every layer gives and takes for one image, in the order in which layers are called.

    Counted by PyTorch's FlopCounterMode, two operations a multiply-add. The model is left as it
    was.

    Args:
        x: what the model eats, first axis N; the first one is used.
    """
    costs: list[LayerCost] = []
    counter = FlopCounterMode(display=False)
    counted = 0

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        nonlocal counted
        shape = tuple(output.shape[1:])
        shape = (*shape[1:], shape[0]) if len(shape) == 3 else shape
        parameters = sum(p.numel() for p in module.parameters())
        flops = counter.get_total_flops() - counted
        counted += flops
        costs.append(LayerCost(name, type(module).__name__, shape, parameters, flops // 2))

    with counter, torch.no_grad():
        _with_countable_attention(lambda: _call_watched(model, _on(model, x)[:1], note))
    return costs


def multiply_adds(model: nn.Module, x: Any) -> int:
    """Multiply-adds of the whole model for one image, those outside of layers included."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        _with_countable_attention(lambda: predict(model, _on(model, x)[:1]))
    return counter.get_total_flops() // 2


def _with_countable_attention(call: Callable[[], Any]) -> None:
    """Call with attention's fused path off, which the counter does not know."""
    was_on = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        call()
    finally:
        torch.backends.mha.set_fastpath_enabled(was_on)


def centre_gradients(model: nn.Module, x: Any) -> list[tuple[str, np.ndarray]]:
    """What the middle of every layer's map sees of the input, in the order of the calls.

    Args:
        x: what the model eats, first axis N, images.

    Returns:
        Name and float64 (N, H, W): |d sum of the middle position's channels / d input|, summed
        over the input's channels; layers without a map are left out. The model is left as it was.
    """
    inputs = _on(model, x).detach().clone().requires_grad_(True)
    middles: list[tuple[str, torch.Tensor]] = []

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        if output.ndim == 4:
            middles.append((name, output[:, :, output.shape[2] // 2, output.shape[3] // 2].sum()))

    _call_watched(model, inputs, note)
    seen = []
    for name, middle in middles:
        (gradient,) = torch.autograd.grad(middle, inputs, retain_graph=True, allow_unused=True)
        gradient = torch.zeros_like(inputs) if gradient is None else gradient
        seen.append((name, to_numpy(gradient.double().abs().sum(dim=1))))
    return seen
