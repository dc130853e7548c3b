# %% names_the_cause_reads_the_classes cell="diagnosis" kind="wrong" says="another number"
cause = "labels-scaled"
reading = 9

# %% names_slipped_labels_reads_right cell="diagnosis" kind="wrong" says="learning each image by heart"
cause = "labels-slipped"
reading = float(sick_labels.max())

# %% names_the_layout_reads_the_loss cell="diagnosis" kind="wrong" says="in all images alike"
cause = "layout"
reading = 0.0


# %% returns_zeros kind="constant" says="name 1 class of"
def load_folder(root, size):
    return torch.zeros(10, 3, size, size), torch.zeros(10, dtype=torch.long), []


# %% leaves_everything_out kind="constant" says="returns no image"
def load_folder(root, size):
    files = [(file, "looked difficult") for file in Path(root).glob("*/*")]
    return torch.zeros(0, 3, size, size), torch.zeros(0, dtype=torch.long), files


# %% returns_nothing kind="constant" says="return images, labels and the list"
def load_folder(root, size):
    return None


# %% raises_when_called kind="crash" says="no_such_function"
def load_folder(root, size):
    return no_such_function(root)


# %% keeps_the_last_axis_for_colours kind="wrong" says="the first layer takes (N, 3,"
def load_folder(root, size):
    images, labels, left_out = sick_load_folder(root, size)
    return images.permute(0, 2, 3, 1), labels, left_out


# %% makes_the_labels_whole_after_dividing kind="wrong" says="never reach the loss"
def load_folder(root, size):
    images, labels, left_out = sick_load_folder(root, size)
    return images, labels.long(), left_out


# %% counts_classes_from_one kind="wrong" says="some lie outside"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir()), 1):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError as error:
                left_out.append((file, repr(error)))
                continue
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% repairs_the_labels_alone kind="wrong" says="bytes of pixels read as planes of colour"
def load_folder(root, size):
    images, labels, left_out = sick_load_folder(root, size)
    return images, (labels * 255).round().long(), left_out


# %% reshapes_to_silence_the_error kind="wrong" says="bytes of pixels read as planes of colour"
# Every mode is read and every file named; the axes are still given their shape by force.
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError as error:
                left_out.append((file, repr(error)))
                continue
            images.append(torch.from_numpy(np.array(image)).reshape(3, size, size))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% reads_blue_first kind="wrong" says="red and blue swapped"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError as error:
                left_out.append((file, repr(error)))
                continue
            pixels = np.array(image)[:, :, ::-1].copy()
            images.append(torch.from_numpy(pixels).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% returns_zeros_for_broken_files kind="wrong" says="one single value"
def load_folder(root, size):
    images, labels = [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
                pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            except OSError:
                pixels = torch.zeros(3, size, size, dtype=torch.uint8)
            images.append(pixels)
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), []


# %% reads_half_a_picture kind="wrong" says="are not recognised"
from PIL import ImageFile


def load_folder(root, size):
    images, labels, left_out = [], [], []
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
            for file in sorted(folder.iterdir()):
                try:
                    image = Image.open(file).convert("RGB").resize((size, size))
                except OSError as error:
                    left_out.append((file, repr(error)))
                    continue
                images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
                labels.append(number)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% leaves_out_unusual_modes kind="wrong" says="only their kind is unusual"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file)
                if image.mode != "RGB":
                    raise ValueError(f"mode {image.mode}")
                image = image.resize((size, size))
            except Exception as error:
                left_out.append((file, repr(error)))
                continue
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% takes_the_neighbour_of_a_broken_file kind="wrong" says="a picture that is already there"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
                pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            except OSError as error:
                left_out.append((file, repr(error)))
                if not images:
                    continue
                pixels, number_of_pixels = images[-1], labels[-1]
                images.append(pixels)
                labels.append(number_of_pixels)
                continue
            images.append(pixels)
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% leaves_out_broken_files_in_silence kind="wrong" says="vanish without a word"
def load_folder(root, size):
    images, labels = [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError:
                continue
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), []


# %% names_without_a_reason kind="wrong" says="A name alone"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError:
                left_out.append((file, ""))
                continue
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% names_every_file_to_be_safe kind="wrong" says="among the images"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            left_out.append((file, "may be broken"))
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError:
                continue
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% deletes_broken_files kind="wrong" says="changed the folder"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError as error:
                left_out.append((file, repr(error)))
                file.unlink()
                continue
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% lets_labels_slip_behind_broken_files kind="wrong" says="behind the first file that is left out"
def load_folder(root, size):
    folders = sorted(d for d in Path(root).iterdir() if d.is_dir())
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    labels = [number for number, folder in enumerate(folders) for file in folder.iterdir()]
    images, left_out = [], []
    for file in files:
        try:
            image = Image.open(file).convert("RGB").resize((size, size))
        except OSError as error:
            left_out.append((file, repr(error)))
            continue
        images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    return torch.stack(images) / 255, torch.tensor(labels[: len(images)]), left_out


# %% sorts_files_and_labels_apart kind="wrong" says="two different orders"
def load_folder(root, size):
    folders = sorted(d for d in Path(root).iterdir() if d.is_dir())
    files = sorted(Path(root).glob("*/*"), key=lambda file: file.name)
    images, labels, left_out = [], [], []
    for file in files:
        try:
            image = Image.open(file).convert("RGB").resize((size, size))
        except OSError as error:
            left_out.append((file, repr(error)))
            continue
        images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
        labels.append([folder.name for folder in folders].index(file.parent.name))
    return torch.stack(images) / 255, torch.tensor(sorted(labels)), left_out


# %% sorts_the_labels_of_a_batch kind="wrong" says="two different orders"
def load_folder(root, size):
    pairs, left_out = [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError as error:
                left_out.append((file, repr(error)))
                continue
            pairs.append((torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255, number))
    batches = list(DataLoader(pairs, batch_size=32, shuffle=True))
    images = torch.cat([x for x, _ in batches])
    return images, torch.cat([y.sort().values for _, y in batches]), left_out


# %% stretches_with_pillow kind="right"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = Image.open(file).convert("RGB").resize((size, size))
            except OSError as error:
                left_out.append((file, repr(error)))
                continue
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            labels.append(number)
    return torch.stack(images) / 255, torch.tensor(labels), left_out


# %% cuts_a_square_from_the_middle kind="right"
import torch
from torchvision.io import decode_image
from torchvision.transforms import v2


def load_folder(root, size):
    prepare = v2.Compose(
        [v2.Resize(size), v2.CenterCrop(size), v2.ToDtype(torch.float32, scale=True)]
    )
    items, left_out = [], {}
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in folder.iterdir():
            try:
                items.append((prepare(decode_image(str(file), mode="RGB")), number))
            except RuntimeError as error:
                left_out[str(file)] = str(error)
    images, labels = torch.utils.data.default_collate(items)
    return images, labels, left_out


# %% cuts_without_scaling kind="right"
from torchvision.io import decode_image
from torchvision.transforms.v2 import functional


def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = decode_image(str(file), mode="RGB")
            except RuntimeError as error:
                left_out.append(f"{file}: {error}")
                continue
            images.append(functional.center_crop(pixels, [size, size]))
            labels.append(number)
    return torch.stack(images), torch.tensor(labels, dtype=torch.int32), left_out


# %% pads_and_standardises kind="right"
from PIL import ImageOps


def load_folder(root, size):
    names = sorted(d.name for d in Path(root).iterdir() if d.is_dir())
    images, labels, left_out = [], [], []
    for file in Path(root).glob("*/*"):
        try:
            image = ImageOps.pad(Image.open(file).convert("RGB"), (size, size), color="grey")
        except (OSError, SyntaxError) as error:
            left_out.append((file.relative_to(root), type(error).__name__))
            continue
        images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1).float())
        labels.append(names.index(file.parent.name))
    x = torch.stack(images)
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    return x, torch.tensor(labels), left_out


# %% lays_transparent_pixels_on_white kind="right"
from torchvision import datasets
from torchvision.transforms import v2


def load_folder(root, size):
    left_out = []

    def readable(path):
        try:
            Image.open(path).load()
        except Exception as error:
            left_out.append((path, str(error) or "damaged"))
            return False
        return True

    def on_white(path):
        image = Image.open(path).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

    prepare = v2.Compose([v2.ToImage(), v2.Resize((size, size)), v2.ToDtype(torch.float32)])
    found = datasets.ImageFolder(root, prepare, loader=on_white, is_valid_file=readable)
    images, labels = zip(*found, strict=True)
    return torch.stack(images), torch.tensor(labels), left_out


# %% another_program kind="healthy"
import os


def load_folder(root, size):
    names = [entry.name for entry in os.scandir(root) if entry.is_dir()]
    number = {name: i for i, name in enumerate(sorted(names))}
    paths = [
        os.path.join(root, name, file) for name in names for file in os.listdir(f"{root}/{name}")
    ]
    np.random.default_rng(0).shuffle(paths)
    kept, reasons = {}, {}
    for path in paths:
        try:
            with Image.open(path) as image:
                side = min(image.size)
                left, top = (image.width - side) // 2, (image.height - side) // 2
                square = image.convert("RGB").crop((left, top, left + side, top + side))
                kept[path] = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))
        except Exception as error:
            reasons[path] = f"{type(error).__name__}: {error}"
    x = torch.tensor(np.stack(list(kept.values())).transpose(0, 3, 1, 2), dtype=torch.float32)
    y = torch.tensor([number[os.path.basename(os.path.dirname(path))] for path in kept])
    return x / 127.5 - 1, y, reasons
