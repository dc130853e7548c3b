# %% names_the_cause_reads_what_was_meant cell="diagnosis" kind="wrong" says="another number"
cause = "stale-augmentation"
reading = sick_freshness.shown

# %% names_too_few_images_reads_right cell="diagnosis" kind="wrong" says="Twenty a class"
cause = "too-few-images"
reading = sick_freshness.different


# %% yields_zeros kind="constant" says="0 % of the images change"
def training_batches(images, labels):
    zeros = torch.zeros(len(images), 3, *images.shape[1:3])
    return DataLoader(list(zip(zeros, torch.as_tensor(labels), strict=True)), batch_size=32)


evaluation_batches = plain_evaluation_batches


# %% raises_when_called kind="crash" says="no_such_function"
def training_batches(images, labels):
    return no_such_function(images, labels)


evaluation_batches = plain_evaluation_batches


# %% yields_images_without_labels kind="wrong" says="not a pair"
def training_batches(images, labels):
    return [x for x, _ in sick_training_batches(images, labels)]


evaluation_batches = plain_evaluation_batches


# %% can_be_run_through_once kind="wrong" says="second epoch is empty"
def training_batches(images, labels):
    return iter(sick_training_batches(images, labels))


evaluation_batches = plain_evaluation_batches


# %% varies_more_and_still_once kind="wrong" says="0 % of the images change"
def training_batches(images, labels):
    augment = v2.Compose(
        [v2.RandomHorizontalFlip(), v2.RandomRotation(10), v2.RandomCrop(images.shape[1], 4)]
    )
    return DataLoader(Photographs(images, labels, augment), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% seeds_every_epoch_alike kind="wrong" says="0 % of the images change"
def training_batches(images, labels):
    class Varied(Photographs):
        def __getitem__(self, i):
            return v2.RandomCrop(self.images.shape[2], padding=2)(self.images[i]), self.labels[i]

    class Seeded(DataLoader):
        def __iter__(self):
            torch.manual_seed(0)
            return super().__iter__()

    return Seeded(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% copies_its_generator_into_the_workers kind="wrong" says="0 % of the images change"
import numpy as np


class OwnGenerator(Photographs):
    def __init__(self, images, labels):
        super().__init__(images, labels)
        self.rng = np.random.default_rng(0)

    def __getitem__(self, i):
        top, left = self.rng.integers(0, 5, 2)
        wide, size = torch.nn.functional.pad(self.images[i], (2,) * 4), self.images.shape[2]
        return wide[:, top : top + size, left : left + size], self.labels[i]


def training_batches(images, labels):
    return DataLoader(
        OwnGenerator(images, labels),
        batch_size=32,
        num_workers=2,
        multiprocessing_context="fork",
    )


evaluation_batches = plain_evaluation_batches


# %% drops_the_last_batch kind="wrong" says="are missing from an epoch"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True, drop_last=True)


evaluation_batches = plain_evaluation_batches


# %% shuffles_labels_by_themselves kind="wrong" says="different ways"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i])

    class Apart:
        def __init__(self):
            self.images = DataLoader(Varied(images, labels), batch_size=32, shuffle=True)
            self.labels = DataLoader(torch.as_tensor(labels), batch_size=32, shuffle=True)

        def __iter__(self):
            return zip(self.images, self.labels, strict=True)

    return Apart()


evaluation_batches = plain_evaluation_batches


# %% varies_evaluation_too kind="wrong" says="asked for a second time"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = training_batches


# %% varies_evaluation_once kind="wrong" says="not their originals"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = sick_training_batches


# %% evaluates_full_batches_only kind="wrong" says="evaluation images"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


def evaluation_batches(images, labels):
    return DataLoader(Photographs(images, labels), batch_size=32, drop_last=True)


# %% brightens_out_of_range kind="wrong" says="training goes from"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]) + 1.2 * (torch.rand(()) - 0.5), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% adds_noise_of_a_thousandth kind="wrong" says="the same picture"
def training_batches(images, labels):
    class Varied(Photographs):
        def __getitem__(self, i):
            return self.images[i] + 0.001 * torch.randn_like(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% adds_noise_to_the_one_draw kind="wrong" says="named after the most similar"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)

    class Noisy(Photographs):
        def __getitem__(self, i):
            return (self.images[i] + 0.02 * torch.randn(1, 1, 1)).clamp(0, 1), self.labels[i]

    return DataLoader(Noisy(images, labels, augment), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% flips_only kind="wrong" says="named after the most similar"
def training_batches(images, labels):
    augment = v2.RandomHorizontalFlip()

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% changes_colours_only kind="wrong" says="not in what tells"
def training_batches(images, labels):
    augment = v2.ColorJitter(brightness=0.4, contrast=0.4)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% crops_and_flips kind="right"
def training_batches(images, labels):
    augment = v2.Compose([v2.RandomCrop(images.shape[1], padding=2), v2.RandomHorizontalFlip()])

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% normalises_after_a_reflecting_crop kind="right"
class Transformed(Dataset):
    def __init__(self, images, labels, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.images[i]), int(self.labels[i])


to_floats = [
    v2.ToImage(),
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize((0.5,) * 3, (0.5,) * 3),
]


def training_batches(images, labels):
    crop = v2.RandomCrop(images.shape[1], padding=2, padding_mode="reflect")
    varied = Transformed(images, labels, v2.Compose([v2.ToImage(), crop, *to_floats[1:]]))
    return DataLoader(varied, batch_size=16, shuffle=True)


def evaluation_batches(images, labels):
    return DataLoader(Transformed(images, labels, v2.Compose(to_floats)), batch_size=64)


# %% bends_and_recolours kind="right"
def training_batches(images, labels):
    augment = v2.Compose(
        [
            v2.RandomAffine(8, translate=(0.15, 0.15), scale=(0.9, 1.1)),
            v2.ColorJitter(brightness=0.2),
        ]
    )

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% crops_and_rand_augments kind="right"
def training_batches(images, labels):
    augment = v2.Compose(
        [v2.RandomCrop(images.shape[1], padding=2), v2.RandAugment(num_ops=1, magnitude=5)]
    )
    images = torch.as_tensor(images).permute(0, 3, 1, 2)

    class Varied(Dataset):
        def __len__(self):
            return len(labels)

        def __getitem__(self, i):
            return augment(images[i]).float() / 255, int(labels[i])

    return DataLoader(Varied(), batch_size=32, shuffle=True)


evaluation_batches = plain_evaluation_batches


# %% crops_and_mixes kind="right"
def training_batches(images, labels):
    augment = v2.RandomCrop(images.shape[1], padding=2)
    mix = v2.MixUp(num_classes=int(labels.max()) + 1, alpha=0.2)

    class Varied(Photographs):
        def __getitem__(self, i):
            return augment(self.images[i]), self.labels[i]

    def collate(pairs):
        x, y = torch.utils.data.default_collate(pairs)
        return mix(x, y)

    return DataLoader(Varied(images, labels), batch_size=32, shuffle=True, collate_fn=collate)


evaluation_batches = plain_evaluation_batches


# %% moves_the_batch_on_its_device kind="right"
def training_batches(images, labels):
    from torch.nn import functional as F

    class OnDevice:
        def __init__(self):
            self.loader = DataLoader(Photographs(images, labels), batch_size=32, shuffle=True)

        def __iter__(self):
            for x, y in self.loader:
                x = x.to(lab.device)
                move = torch.eye(2, 3, device=x.device).repeat(len(x), 1, 1)
                move[:, :, 2] = 0.5 * (torch.rand(len(x), 2, device=x.device) - 0.5)
                grid = F.affine_grid(move, list(x.shape), align_corners=False)
                yield F.grid_sample(x, grid, align_corners=False), y.to(lab.device)

    return OnDevice()


evaluation_batches = plain_evaluation_batches


# %% prepares_every_epoch_anew kind="right"
def training_batches(images, labels):
    class Anew:
        def __iter__(self):
            return iter(sick_training_batches(images, labels))

    return Anew()


evaluation_batches = plain_evaluation_batches

# %% another_program kind="healthy"
import numpy as np


class Roofs:
    """Everything in NumPy: whole-image shifts by rolling, noise, a batch at a time."""

    def __init__(self, images, labels, rng=None):
        self.images = images.astype(np.float32) / 127.5 - 1
        self.labels, self.rng = labels, rng

    def __iter__(self):
        order = np.arange(len(self.labels))
        if self.rng is not None:
            self.rng.shuffle(order)
        for first in range(0, len(order), 25):
            rows = order[first : first + 25]
            x = self.images[rows]
            if self.rng is not None:
                steps = self.rng.integers(-3, 4, (len(rows), 2))
                x = np.stack(
                    [np.roll(one, step, (0, 1)) for one, step in zip(x, steps, strict=True)]
                )
                x = x + self.rng.normal(0, 0.02, x.shape).astype(np.float32)
            yield (
                torch.from_numpy(np.moveaxis(x, -1, 1).copy()),
                torch.from_numpy(self.labels[rows]),
            )


def training_batches(images, labels):
    return Roofs(images, labels, np.random.default_rng(7))


def evaluation_batches(images, labels):
    return Roofs(images, labels)
