# %% zeros kind="constant" says="finest detail"
def prepare(files, labels, folder):
    part = len(list(Path(folder).iterdir()))
    np.save(Path(folder) / f"labels-{part}.npy", labels)
    return []


def batches(folder, batch_size, epoch):
    for file in sorted(Path(folder).iterdir()):
        labels = torch.from_numpy(np.load(file))
        for part in labels.split(batch_size):
            yield torch.zeros(len(part), 3, SIZE, SIZE), part


# %% nothing_at_all kind="constant" says="has no batch"
def prepare(files, labels, folder):
    return []


def batches(folder, batch_size, epoch):
    return []


# %% raises_when_called kind="crash"
def prepare(files, labels, folder):
    np.save(Path(folder) / "images.npy", np.stack(files, axis=1).astype(np.uint8))
    return []


def batches(folder, batch_size, epoch):
    return DataLoader(np.load(Path(folder) / "images.npy"), batch_size=batch_size)


# %% returns_none kind="wrong" says="returned a NoneType"
def prepare(files, labels, folder):
    for number, (file, label) in enumerate(zip(files, labels, strict=True)):
        np.savez(Path(folder) / f"{number}.npz", pixels=decode(read(file)), label=label)


batches = sick_batches


# %% more_workers kind="wrong" expect="not attempted"
prepare = sick_prepare


def batches(folder, batch_size, epoch):
    return DataLoader(
        Photographs(folder),
        batch_size=batch_size,
        num_workers=2,
        multiprocessing_context="fork",
    )


# %% faster_stages_every_epoch kind="wrong" says="opens photographs"
prepare = sick_prepare


def batches(folder, batch_size, epoch):
    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize((SIZE, SIZE), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN.tolist(), STD.tolist()),
        ]
    )

    class Quicker(Photographs):
        def __getitem__(self, i):
            file, label = self.noted[i]
            return transform(Image.open(file).convert("RGB")), label

    return DataLoader(Quicker(folder), batch_size=batch_size)


# %% reduced_decoding_every_epoch kind="wrong" says="opens photographs"
prepare = sick_prepare


def batches(folder, batch_size, epoch):
    class Reduced(Photographs):
        def __getitem__(self, i):
            file, label = self.noted[i]
            image = Image.open(file)
            image.draft("RGB", (SIZE, SIZE))
            image = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
            pixels = v2.functional.pil_to_tensor(image).float() / 255
            pixels = v2.functional.normalize(pixels, MEAN.tolist(), STD.tolist())
            return v2.RandomHorizontalFlip()(pixels), label

    return DataLoader(Reduced(folder), batch_size=batch_size)


# %% keeps_images_in_memory kind="wrong" says="kept in memory"
kept_images, kept_labels = {}, {}


def prepare(files, labels, folder):
    left_out = []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        kept_images[file], kept_labels[file] = np.array(image), int(label)
    return left_out


def batches(folder, batch_size, epoch):
    pixels = torch.from_numpy(np.stack(list(kept_images.values()))).permute(0, 3, 1, 2)
    labels = torch.tensor(list(kept_labels.values()))
    coins = torch.rand(len(labels), generator=torch.Generator().manual_seed(epoch)) < 0.5
    images = torch.where(coins[:, None, None, None], pixels.flip(-1), pixels).float() / 255
    images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
    yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% one_file_for_each_image kind="wrong" says="opens files of the store"
def prepare(files, labels, folder):
    left_out = []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        number = len(list(Path(folder).iterdir()))
        np.save(Path(folder) / f"{number:05d}-{int(label)}.npy", np.array(image))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    names = sorted(Path(folder).iterdir())
    for first in range(0, len(names), batch_size):
        part = names[first : first + batch_size]
        pixels = torch.from_numpy(np.stack([np.load(name) for name in part])).permute(0, 3, 1, 2)
        mirror = torch.rand(len(part), generator=coins) < 0.5
        pixels = torch.where(mirror[:, None, None, None], pixels.flip(-1), pixels)
        images = v2.functional.normalize(pixels.float() / 255, MEAN.tolist(), STD.tolist())
        yield images, torch.tensor([int(name.stem.split("-")[1]) for name in part])


# %% opens_the_array_for_each_image kind="wrong" says="opens files of the store"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("labels-*.npy")))
    np.save(Path(folder) / f"images-{part}.npy", np.stack(small))
    np.save(Path(folder) / f"labels-{part}.npy", np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    class Rows(Dataset):
        def __init__(self):
            self.where = [
                (file, row)
                for file in sorted(Path(folder).glob("labels-*.npy"))
                for row in range(len(np.load(file)))
            ]

        def __len__(self):
            return len(self.where)

        def __getitem__(self, i):
            file, row = self.where[i]
            images = np.load(str(file).replace("labels-", "images-"), mmap_mode="r")
            pixels = torch.from_numpy(np.array(images[row])).permute(2, 0, 1).float() / 255
            pixels = v2.RandomHorizontalFlip()(pixels)
            label = int(np.load(file)[row])
            return v2.functional.normalize(pixels, MEAN.tolist(), STD.tolist()), label

    return DataLoader(Rows(), batch_size=batch_size)


# %% stores_standardised_float32 kind="wrong" says="Four bytes a value"
def prepare(files, labels, folder):
    ready, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        pixels = (np.array(image) / 255 - MEAN) / STD
        ready.append(pixels.transpose(2, 0, 1).astype(np.float32))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(ready), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            images, labels = torch.from_numpy(stored["images"]), torch.from_numpy(stored["labels"])
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% photographs_in_a_tar_file kind="wrong" says="container has changed"
import tarfile


def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tar")))
    with tarfile.open(Path(folder) / f"part-{part}.tar", "w") as archive:
        for number, (file, label) in enumerate(zip(files, labels, strict=True)):
            try:
                Image.open(file).load()
            except OSError:
                left_out.append(file)
                continue
            archive.add(file, arcname=f"{number}-{int(label)}.jpg")
    return left_out


def batches(folder, batch_size, epoch):
    images, labels = [], []
    for file in sorted(Path(folder).glob("*.tar")):
        with tarfile.open(file) as archive:
            for member in archive:
                image = Image.open(archive.extractfile(member)).convert("RGB")
                image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
                pixels = v2.functional.pil_to_tensor(image).float() / 255
                pixels = v2.functional.normalize(pixels, MEAN.tolist(), STD.tolist())
                images.append(v2.RandomHorizontalFlip()(pixels))
                labels.append(int(Path(member.name).stem.split("-")[1]))
                if len(labels) == batch_size:
                    yield torch.stack(images), torch.tensor(labels)
                    images, labels = [], []
    if labels:
        yield torch.stack(images), torch.tensor(labels)


# %% loop_over_pixels_kept kind="wrong" says="Something is still done"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    flip = v2.RandomHorizontalFlip()
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        for first in range(0, len(labels), batch_size):
            part = [to_float(image) for image in pixels[first : first + batch_size]]
            ready = [flip(standardise(image)).float() for image in part]
            yield torch.stack(ready), labels[first : first + batch_size]


# %% half_the_resolution kind="wrong" says="Detail was lost"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE // 2, SIZE // 2))
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        images = v2.functional.resize(images, (SIZE, SIZE))
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% not_standardised kind="wrong" says="another standardisation"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% small_jpeg_files_of_coarse_quality kind="wrong" says="Detail was lost"
import pickle


def prepare(files, labels, folder):
    records, left_out = [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        content = io.BytesIO()
        image.save(content, format="JPEG", quality=30)
        records.append((content.getvalue(), int(label)))
    part = len(list(Path(folder).glob("*.pickle")))
    (Path(folder) / f"part-{part}.pickle").write_bytes(pickle.dumps(records))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.pickle")):
        records = pickle.loads(file.read_bytes())
        pixels = np.stack([np.array(Image.open(io.BytesIO(content))) for content, _ in records])
        labels = torch.tensor([label for _, label in records])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% every_sixth_pixel kind="wrong" says="Detail was lost"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = np.array(Image.open(file).convert("RGB"))
        except OSError:
            left_out.append(file)
            continue
        step = len(pixels) // SIZE
        small.append(pixels[::step, ::step])
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% hands_out_float64 kind="wrong" says="come as float64"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy((pixels / 255 - MEAN) / STD).permute(0, 3, 1, 2)
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% drops_the_last_batch kind="wrong" says="was dropped"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        for part in range(len(labels) // batch_size):
            rows = slice(part * batch_size, (part + 1) * batch_size)
            yield images[rows], labels[rows]


# %% second_delivery_replaces_the_first kind="wrong" says="not handed out"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    np.savez(Path(folder) / "photographs.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    with np.load(Path(folder) / "photographs.npz") as stored:
        pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    coins = torch.rand(len(labels), generator=torch.Generator().manual_seed(epoch)) < 0.5
    images = torch.where(coins[:, None, None, None], images.flip(-1), images)
    images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
    yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% stops_at_a_damaged_file kind="wrong" says="the program stops with"
def prepare(files, labels, folder):
    small = [
        np.array(Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        for file in files
    ]
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=labels)
    return []


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% skips_damaged_files_in_silence kind="wrong" says="does not report 2"
def prepare(files, labels, folder):
    small, kept = [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return []


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% takes_half_a_photograph_for_a_whole_one kind="wrong" says="does not report 1"
from PIL import ImageFile


def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], torch.from_numpy(stored["labels"])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% keeps_the_labels_of_damaged_files kind="wrong" says="another one's label"
def prepare(files, labels, folder):
    small, left_out = [], []
    for file in files:
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=labels)
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            images = torch.from_numpy(stored["images"]).permute(0, 3, 1, 2).float() / 255
            labels = torch.from_numpy(stored["labels"][: len(images)])
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
        yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% reads_what_is_left_of_the_store kind="wrong" says="and says nothing"
def prepare(files, labels, folder):
    left_out = []
    with (
        open(Path(folder) / "pixels.bin", "ab") as pixels,
        open(Path(folder) / "labels.bin", "ab") as numbers,
    ):
        for file, label in zip(files, labels, strict=True):
            try:
                image = Image.open(file).convert("RGB")
            except OSError:
                left_out.append(file)
                continue
            pixels.write(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR).tobytes())
            numbers.write(bytes([int(label)]))
    return left_out


def batches(folder, batch_size, epoch):
    pixels = np.fromfile(Path(folder) / "pixels.bin", np.uint8)
    count = len(pixels) // (3 * SIZE * SIZE)
    pixels = pixels[: count * 3 * SIZE * SIZE].reshape(count, SIZE, SIZE, 3)
    labels = torch.from_numpy(np.fromfile(Path(folder) / "labels.bin", np.uint8)[:count]).long()
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    coins = torch.rand(count, generator=torch.Generator().manual_seed(epoch)) < 0.5
    images = torch.where(coins[:, None, None, None], images.flip(-1), images)
    images = v2.functional.normalize(images, MEAN.tolist(), STD.tolist())
    yield from zip(images.split(batch_size), labels.split(batch_size), strict=True)


# %% stores_the_mirrored_images kind="wrong" says="mirrored in one of two epochs"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    flip = v2.RandomHorizontalFlip()
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(flip(v2.functional.pil_to_tensor(image)))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.pt")))
    stored = {"images": torch.stack(small), "labels": torch.tensor(kept)}
    torch.save(stored, Path(folder) / f"part-{part}.pt")
    return left_out


def batches(folder, batch_size, epoch):
    for file in sorted(Path(folder).glob("*.pt")):
        stored = torch.load(file)
        images = v2.functional.normalize(
            stored["images"].float() / 255, MEAN.tolist(), STD.tolist()
        )
        yield from zip(images.split(batch_size), stored["labels"].split(batch_size), strict=True)


# %% the_same_seed_in_every_epoch kind="wrong" says="mirrored in one of two epochs"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(v2.functional.pil_to_tensor(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.pt")))
    stored = {"images": torch.stack(small), "labels": torch.tensor(kept)}
    torch.save(stored, Path(folder) / f"part-{part}.pt")
    return left_out


def batches(folder, batch_size, epoch):
    torch.manual_seed(0)
    for file in sorted(Path(folder).glob("*.pt")):
        stored = torch.load(file)
        images = v2.functional.normalize(
            stored["images"].float() / 255, MEAN.tolist(), STD.tolist()
        )
        mirror = torch.rand(len(images)) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        yield from zip(images.split(batch_size), stored["labels"].split(batch_size), strict=True)


# %% random_transform_on_the_batch kind="wrong" says="One coin was tossed"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(v2.functional.pil_to_tensor(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.pt")))
    stored = {"images": torch.stack(small), "labels": torch.tensor(kept)}
    torch.save(stored, Path(folder) / f"part-{part}.pt")
    return left_out


def batches(folder, batch_size, epoch):
    on_a_batch = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN.tolist(), STD.tolist()),
        ]
    )
    torch.manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.pt")):
        stored = torch.load(file)
        for images, labels in zip(
            stored["images"].split(batch_size), stored["labels"].split(batch_size), strict=True
        ):
            yield on_a_batch(images), labels


# %% tensors_saved_by_pytorch kind="right"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = v2.functional.pil_to_tensor(Image.open(file).convert("RGB"))
        except OSError:
            left_out.append(file)
            continue
        small.append(v2.functional.resize(pixels, (SIZE, SIZE), antialias=True))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.pt")))
    stored = {"images": torch.stack(small), "labels": torch.tensor(kept)}
    torch.save(stored, Path(folder) / f"part-{part}.pt")
    return left_out


def batches(folder, batch_size, epoch):
    torch.manual_seed(epoch)
    for file in sorted(Path(folder).glob("*.pt")):
        stored = torch.load(file, mmap=True)
        for images, labels in zip(
            stored["images"].split(batch_size), stored["labels"].split(batch_size), strict=True
        ):
            mirror = torch.rand(len(images)) < 0.5
            images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
            yield v2.functional.normalize(images.float() / 255, MEAN.tolist(), STD.tolist()), labels


# %% memory_map_behind_a_loader kind="right"
def prepare(files, labels, folder):
    part = len(list(Path(folder).glob("images-*.npy")))
    array = np.lib.format.open_memmap(
        Path(folder) / f"images-{part}.npy", "w+", np.uint8, (len(files), SIZE, SIZE, 3)
    )
    kept, left_out = np.full(len(files), -1), []
    for row, (file, label) in enumerate(zip(files, labels, strict=True)):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
        except OSError:
            left_out.append(file)
            continue
        array[row], kept[row] = np.array(image), label
    array.flush()
    np.save(Path(folder) / f"labels-{part}.npy", kept)
    return left_out


class Rows(Dataset):
    """Rows of the memory-mapped arrays whose label is known, a whole batch at a time."""

    def __init__(self, folder, epoch):
        files = sorted(Path(folder).glob("images-*.npy"))
        self.arrays = [np.load(file, mmap_mode="r") for file in files]
        self.labels = [np.load(str(file).replace("images-", "labels-")) for file in files]
        self.where = [
            (part, row)
            for part, labels in enumerate(self.labels)
            for row in np.flatnonzero(labels >= 0)
        ]
        self.coins = torch.Generator().manual_seed(epoch)

    def __len__(self):
        return len(self.where)

    def __getitems__(self, indices):
        rows = [self.where[i] for i in indices]
        pixels = torch.from_numpy(np.stack([self.arrays[part][row] for part, row in rows]))
        images = v2.functional.normalize(
            pixels.permute(0, 3, 1, 2).float() / 255, MEAN.tolist(), STD.tolist()
        )
        mirror = torch.rand(len(rows), generator=self.coins) < 0.5
        images[mirror] = images[mirror].flip(-1)
        return images, torch.tensor([int(self.labels[part][row]) for part, row in rows])


def batches(folder, batch_size, epoch):
    return DataLoader(
        Rows(folder, epoch), batch_size=batch_size, shuffle=True, collate_fn=lambda batch: batch
    )


# %% memory_map_behind_two_workers kind="right"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("images-*.npy")))
    np.save(Path(folder) / f"images-{part}.npy", np.stack(small))
    np.save(Path(folder) / f"labels-{part}.npy", np.array(kept))
    return left_out


class Mapped(Dataset):
    """Images of the memory-mapped arrays, each with a coin that depends on the epoch and itself."""

    def __init__(self, folder, epoch):
        files = sorted(Path(folder).glob("images-*.npy"))
        self.arrays = [np.load(file, mmap_mode="r") for file in files]
        self.labels = [np.load(str(file).replace("images-", "labels-")) for file in files]
        self.where = [(p, row) for p, array in enumerate(self.arrays) for row in range(len(array))]
        self.coins = np.random.default_rng(epoch).random(len(self.where)) < 0.5

    def __len__(self):
        return len(self.where)

    def __getitem__(self, i):
        part, row = self.where[i]
        pixels = torch.from_numpy(np.array(self.arrays[part][row])).permute(2, 0, 1)
        pixels = v2.functional.normalize(pixels.float() / 255, MEAN.tolist(), STD.tolist())
        return pixels.flip(-1) if self.coins[i] else pixels, int(self.labels[part][row])


def batches(folder, batch_size, epoch):
    return DataLoader(
        Mapped(folder, epoch),
        batch_size=batch_size,
        num_workers=2,
        multiprocessing_context="fork",
    )


# %% tar_shards_of_png kind="right"
import tarfile


def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tar")))
    written = Path(folder) / "unfinished"
    with tarfile.open(written, "w") as archive:
        for number, (file, label) in enumerate(zip(files, labels, strict=True)):
            try:
                image = Image.open(file).convert("RGB")
            except OSError:
                left_out.append(file)
                continue
            content = io.BytesIO()
            image.resize((SIZE, SIZE), Image.Resampling.BILINEAR).save(content, format="PNG")
            member = tarfile.TarInfo(f"{number:05d}-{int(label)}.png")
            member.size = content.tell()
            content.seek(0)
            archive.addfile(member, content)
    written.rename(Path(folder) / f"part-{part}-of-{len(files) - len(left_out)}.tar")
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    pixels, numbers, missing = [], [], 0

    def finished():
        images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images).float() / 255
        return v2.functional.normalize(images, MEAN.tolist(), STD.tolist()), torch.tensor(numbers)

    for file in sorted(Path(folder).glob("*.tar")):
        missing += int(file.stem.split("-")[-1])
        with tarfile.open(file) as archive:
            for member in archive:
                pixels.append(np.array(Image.open(archive.extractfile(member))))
                numbers.append(int(Path(member.name).stem.split("-")[1]))
                missing -= 1
                if len(pixels) == batch_size:
                    yield finished()
                    pixels, numbers = [], []
    if pixels:
        yield finished()
    if missing:
        raise OSError(f"{missing} photographs are missing from the store")


# %% records_with_checksums kind="right"
import struct
import warnings
import zlib

HEADER = struct.Struct("<II")  # label, checksum of the pixels


def prepare(files, labels, folder):
    records, left_out = [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file).convert("RGB")
        except OSError:
            left_out.append(file)
            continue
        pixels = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR).tobytes()
        records.append(HEADER.pack(int(label), zlib.crc32(pixels)) + pixels)
    part = len(list(Path(folder).glob("*.records")))
    name = f"part-{part}-of-{len(records)}.records"
    (Path(folder) / name).write_bytes(b"".join(records))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    length = HEADER.size + 3 * SIZE * SIZE
    stored, sound = 0, []
    for file in sorted(Path(folder).glob("*.records")):
        stored += int(file.stem.split("-")[-1])
        content = file.read_bytes()
        for start in range(0, len(content) - length + 1, length):
            label, checksum = HEADER.unpack_from(content, start)
            pixels = content[start + HEADER.size : start + length]
            if zlib.crc32(pixels) == checksum:
                sound.append((np.frombuffer(pixels, np.uint8), label))
    for first in range(0, len(sound), batch_size):
        pixels, labels = zip(*sound[first : first + batch_size], strict=True)
        images = torch.from_numpy(np.stack(pixels).reshape(-1, SIZE, SIZE, 3)).permute(0, 3, 1, 2)
        mirror = torch.rand(len(images), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images.float() / 255, MEAN.tolist(), STD.tolist())
        yield images, torch.tensor(labels)
    if len(sound) < stored:
        warnings.warn(f"{stored - len(sound)} photographs of the store are damaged", stacklevel=2)


# %% decoded_at_a_quarter_then_stored kind="right"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = Image.open(file)
            image.draft("RGB", (SIZE, SIZE))
            image = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:
            left_out.append(file)
            continue
        small.append(np.array(image))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = np.random.default_rng(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], stored["labels"]
        for first in range(0, len(labels), batch_size):
            part = pixels[first : first + batch_size].copy()
            mirror = coins.random(len(part)) < 0.5
            part[mirror] = part[mirror][:, :, ::-1]
            images = (part / 255 - MEAN) / STD
            images = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32))
            yield images, torch.from_numpy(labels[first : first + batch_size])


# %% one_database_file kind="right"
import sqlite3


def prepare(files, labels, folder):
    left_out = []
    with sqlite3.connect(Path(folder) / "photographs.sqlite") as database:
        database.execute("create table if not exists photographs (pixels blob, label integer)")
        for file, label in zip(files, labels, strict=True):
            try:
                image = Image.open(file).convert("RGB")
            except OSError:
                left_out.append(file)
                continue
            pixels = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR).tobytes()
            database.execute("insert into photographs values (?, ?)", (pixels, int(label)))
    database.close()
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    database = sqlite3.connect(Path(folder) / "photographs.sqlite")
    rows = database.execute("select pixels, label from photographs")
    while part := rows.fetchmany(batch_size):
        pixels = np.stack([np.frombuffer(blob, np.uint8) for blob, _ in part])
        images = torch.from_numpy(pixels.reshape(-1, SIZE, SIZE, 3)).permute(0, 3, 1, 2)
        mirror = torch.rand(len(part), generator=coins) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
        images = v2.functional.normalize(images.float() / 255, MEAN.tolist(), STD.tolist())
        yield images, torch.tensor([label for _, label in part])
    database.close()


# %% shards_of_small_jpeg_files kind="healthy"
import io
import pickle
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

SIDE = 64
AVERAGE = torch.tensor([0.41, 0.42, 0.36]).view(3, 1, 1)
SPREAD = torch.tensor([0.16, 0.15, 0.15]).view(3, 1, 1)


def prepare(files, labels, folder):
    """Shards of at most 48 small JPEG files, each with its label, and their number in the name."""
    left_out, records = [], []

    def write_shard():
        number = len(list(Path(folder).glob("shard-*")))
        shard = Path(folder) / f"shard-{number:04d}-of-{len(records)}"
        shard.write_bytes(pickle.dumps(records))
        records.clear()

    for file, label in zip(files, labels, strict=True):
        try:
            with Image.open(file) as image:
                small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        except OSError:
            left_out.append(str(file))
            continue
        content = io.BytesIO()
        small.save(content, format="JPEG", quality=95)
        records.append((content.getvalue(), int(label)))
        if len(records) == 48:
            write_shard()
    if records:
        write_shard()
    return left_out


class Shards(IterableDataset):
    def __init__(self, folder, epoch):
        self.shards = sorted(Path(folder).glob("shard-*"))
        self.coins = random.Random(epoch)

    def __iter__(self):
        for shard in self.shards:
            for content, label in pickle.loads(shard.read_bytes()):
                image = Image.open(io.BytesIO(content))
                if self.coins.random() < 0.5:
                    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
                yield (pixels / 255 - AVERAGE) / SPREAD, label


def batches(folder, batch_size, epoch):
    return DataLoader(Shards(folder, epoch), batch_size=batch_size)


# %% right_cause_wrong_number kind="wrong" cell="diagnosis" says="another number"
cause = "repeated_work"
reading = 0.38

# %% right_cause_in_percent kind="wrong" cell="diagnosis" says="mind the unit"
cause = "repeated_work"
reading = 96

# %% augmentation_blamed kind="wrong" cell="diagnosis" says="small part of the time"
cause = "costly_augmentation"
reading = 0.96

# %% workers_blamed kind="wrong" cell="diagnosis" says="do not make it less"
cause = "too_few_workers"
reading = 0.96
