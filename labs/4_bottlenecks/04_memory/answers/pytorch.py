# %% blames_the_batch cell="diagnosis" kind="wrong" says="it is the floor that rises"
cause = "batch-too-large"
reading = 3.15

# %% waits_for_the_collector cell="diagnosis" kind="wrong" says="no garbage to collect"
cause = "uncollected-garbage"
reading = 3.15

# %% reads_the_peak cell="diagnosis" kind="wrong" says="another number"
cause = "kept-for-backward"
reading = 36.0  # the highest point


# %% returns_zeros kind="constant" says="was not trained"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    return [0.0] * len(order)


# %% raises_when_called kind="crash" says="no_such_loss"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    return [no_such_loss(model) for rows in order]


# %% calls_the_collector kind="wrong" says="still referred to"
import gc


def prepare(images):
    return torch.from_numpy(images / 255.0).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for step, rows in enumerate(order):
        x = data[rows].float().to(labels.device)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        losses.append(F.cross_entropy(model(unseen), unseen_labels))
        del x
        if step % 4 == 0:  # in every step it would take longer than the training
            gc.collect()
            torch.cuda.empty_cache()
    return losses


# %% clones_the_loss kind="wrong" says="still refers to all"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        model.eval()
        loss = F.cross_entropy(model(unseen), unseen_labels)
        model.train()
        losses.append(loss.clone())
        del loss
    return losses


# %% keeps_maps_for_a_picture kind="wrong" says="Less is kept than before"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses, maps = [], []
    for rows in order:
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
            maps.append(model[:2](unseen))
    return losses


# %% forgets_the_images kind="wrong" says="double precision"
def prepare(images):
    return torch.from_numpy(images / 255.0).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% goes_half_the_way_with_the_images kind="wrong" says="4 bytes for every byte"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        optimizer.zero_grad()
        F.cross_entropy(model(data[rows].to(labels.device)), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% converts_all_images_inside kind="wrong" says="makes something large of it"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    data = torch.tensor(data, device=labels.device).permute(0, 3, 1, 2).float() / 255
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        optimizer.zero_grad()
        F.cross_entropy(model(data[rows]), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% converts_all_images_in_numpy kind="wrong" says="makes something large of it"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    data = data / 255.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = torch.from_numpy(data[rows]).permute(0, 3, 1, 2).float().to(labels.device)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% keeps_a_number_and_records_all_the_same kind="wrong" says="that nobody asks for"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% converts_all_images_in_every_step kind="wrong" says="all images in a larger type"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = (data.float() / 255)[rows].to(labels.device)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% cuts_the_training_off_too kind="wrong" says="their gradient went as well"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        maps = model[:-1](x).detach()
        F.cross_entropy(model[-1](maps), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% forgets_to_divide kind="wrong" says="values from 0 to 1"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% halves_the_batch kind="wrong" says="The steps are other ones"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        rows = rows[: len(rows) // 2]
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% looks_every_second_step kind="wrong" says="returned 4 losses"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for step, rows in enumerate(order):
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        if step % 2 == 1:
            with torch.no_grad():
                losses.append(F.cross_entropy(model(unseen), unseen_labels).item())
    return losses


# %% looks_once_at_the_end kind="wrong" says="one and the same number"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    for rows in order:
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        loss = F.cross_entropy(model(unseen), unseen_labels).item()
    return [loss] * len(order)


# %% returns_the_training_losses kind="wrong" says="They are other losses"
def prepare(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device) / 255
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% stores_tensors_without_graph kind="right"
def prepare(images):
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


@torch.inference_mode()
def look(model, x, labels):
    model.eval()
    loss = F.cross_entropy(model(x), labels)
    model.train()
    return loss


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = torch.zeros(len(order))
    for step, rows in enumerate(order):
        x = data[rows].to(labels.device).to(torch.float32).div_(255)
        loss = F.cross_entropy(model(x), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[step] = look(model, unseen, unseen_labels)
    return losses


# %% reads_through_a_loader kind="right"
from torch.utils.data import DataLoader, Dataset


class Tiles(Dataset):
    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i]).permute(2, 0, 1).float() / 255, self.labels[i]


def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for x, targets in DataLoader(Tiles(data, labels), batch_sampler=order.tolist()):
        optimizer.zero_grad()
        F.cross_entropy(model(x.to(labels.device)), targets).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(float(F.cross_entropy(model(unseen), unseen_labels)))
    return losses


# %% holds_two_bytes_and_looks_in_portions kind="right"
def prepare(images):
    return (torch.from_numpy(images).permute(0, 3, 1, 2) / 255).half()


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        optimizer.zero_grad()
        F.cross_entropy(model(data[rows].float().to(labels.device)), labels[rows]).backward()
        optimizer.step()
        total = 0.0
        with torch.no_grad():
            for x, targets in zip(unseen.split(12), unseen_labels.split(12), strict=True):
                total += F.cross_entropy(model(x), targets, reduction="sum").item()
        losses.append(total / len(unseen))
    return losses


# %% asks_for_the_gradient_of_parts kind="healthy"
def prepare(images):
    return {"pixels": images}


def train(model, data, labels, order, unseen, unseen_labels):
    weights = list(model.parameters())
    speeds = [torch.zeros_like(w) for w in weights]
    told = []
    for rows in order:
        pixels = torch.from_numpy(data["pixels"][rows]).permute(0, 3, 1, 2)
        loss = F.cross_entropy(model(pixels.to(labels.device) / 255), labels[rows])
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for weight, speed, gradient in zip(weights, speeds, gradients, strict=True):
                speed.mul_(0.9).add_(gradient)
                weight.sub_(0.005 * speed)
            told.append(F.cross_entropy(model(unseen), unseen_labels).cpu().numpy())
    return told


# %% never_computes cell="fit" kind="constant" says="has a gradient after the call"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)


# %% collects_before_the_gradient cell="fit" kind="wrong" says="The garbage collector frees"
import gc


def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    loss = F.cross_entropy(model(x), y)
    gc.collect()
    loss.backward()


# %% takes_a_smaller_batch cell="fit" kind="wrong" says="another, smaller batch"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    F.cross_entropy(model(x[:16]), y[:16]).backward()


# %% adds_up_means cell="fit" kind="wrong" says="It is too long"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    for part, targets in zip(x.split(8), y.split(8), strict=True):
        F.cross_entropy(model(part), targets).backward()


# %% divides_a_mean_once_more cell="fit" kind="wrong" says="It is too short"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    for part, targets in zip(x.split(8), y.split(8), strict=True):
        (F.cross_entropy(model(part), targets) / len(x)).backward()


# %% returns_what_is_to_be_left cell="fit" kind="wrong" says="not left where the task asks"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    weights = list(model.parameters())
    sums = [torch.zeros_like(weight) for weight in weights]
    for part, targets in zip(x.split(8), y.split(8), strict=True):
        loss = F.cross_entropy(model(part), targets) * len(part) / len(x)
        for total, found in zip(sums, torch.autograd.grad(loss, weights), strict=True):
            total += found
    return sums


# %% divides_by_the_number_of_portions cell="fit" kind="wrong" says="smaller last portion"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    portions = x.split(8)
    for part, targets in zip(portions, y.split(8), strict=True):
        (F.cross_entropy(model(part), targets) / len(portions)).backward()


# %% leaves_out_the_rest cell="fit" kind="wrong" says="another, smaller batch"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    portions = len(x) // 16
    for i in range(portions):
        part, targets = x[16 * i : 16 * i + 16], y[16 * i : 16 * i + 16]
        (F.cross_entropy(model(part), targets) / portions).backward()


# %% detaches_in_the_middle cell="fit" kind="wrong" says="get no gradient at all"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    with torch.no_grad():
        maps = model[:12](x)
    F.cross_entropy(model[12:](maps), y).backward()


# %% a_checkpoint_at_every_layer cell="fit" kind="wrong" says="until the backward pass comes past"
from torch.utils.checkpoint import checkpoint


def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    for part in model:
        x = checkpoint(part, x, use_reentrant=False)
    F.cross_entropy(x, y).backward()


# %% one_image_at_a_time cell="fit" kind="wrong" says="nearly as long as one on a dozen"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    for part, targets in zip(x.split(1), y.split(1), strict=True):
        (F.cross_entropy(model(part), targets) / len(x)).backward()


# %% sums_and_divides_at_the_end cell="fit" kind="right"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU(inplace=True)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    for part, targets in zip(x.split(12), y.split(12), strict=True):
        F.cross_entropy(model(part), targets, reduction="sum").backward()
    for parameter in model.parameters():
        parameter.grad /= len(x)


# %% checkpoints_in_segments cell="fit" kind="right"
from torch.utils.checkpoint import checkpoint_sequential


def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    F.cross_entropy(checkpoint_sequential(model, 4, x, use_reentrant=False), y).backward()


# %% a_network_that_recomputes_itself cell="fit" kind="right"
from torch.utils.checkpoint import checkpoint


class Recomputing(nn.Module):
    def __init__(self, classes):
        super().__init__()
        blocks = []
        for number in range(4):
            block = []
            for place in range(3):
                channels = 8 if number or place else 3
                block += [nn.Conv2d(channels, 8, 3, padding=1, bias=False), nn.ReLU()]
            blocks.append(nn.Sequential(*block))
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.training else block(x)
        return self.head(x.mean(dim=(2, 3)))


def build_model(classes):
    return Recomputing(classes).to(lab.device)


def gradient(model, x, y):
    F.cross_entropy(model(x), y).backward()


# %% computes_in_sixteen_bits cell="fit" kind="right"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        logits = model(x)
    F.cross_entropy(logits.float(), y).backward()


# %% gathers_outside_the_parameters cell="fit" kind="right"
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    weights = list(model.parameters())
    sums = [torch.zeros_like(weight) for weight in weights]
    for part, targets in zip(x.tensor_split(5), y.tensor_split(5), strict=True):
        loss = F.cross_entropy(model(part), targets) * len(part) / len(x)
        for total, found in zip(sums, torch.autograd.grad(loss, weights), strict=True):
            total += found
    for weight, total in zip(weights, sums, strict=True):
        weight.grad = total
