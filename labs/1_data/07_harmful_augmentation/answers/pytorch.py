# %% names_the_cause_reads_chance cell="diagnosis" kind="wrong" says="another number"
cause = "labels-destroyed"
reading = 0.25

# %% names_the_cause_reads_the_lost_ones cell="diagnosis" kind="wrong" says="another number"
cause = "labels-destroyed"
reading = 0.69

# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="training accuracy is low"
cause = "too-weak"
reading = 0.31

# %% names_the_range_reads_right cell="diagnosis" kind="wrong" says="second fault"
cause = "value-range"
reading = 0.31

# %% returns_black_images kind="constant" says="pushed onto 0 or 1"
steps = 80


def augment(images, labels):
    return torch.zeros_like(images), labels


# %% returns_one_image_for_all kind="constant" says="show what their label says"
steps = 80


def augment(images, labels):
    return images[:1].expand(len(images), -1, -1, -1), labels


# %% returns_nothing kind="constant" says="return the images and their labels"
steps = 80


def augment(images, labels):
    return None


# %% raises_when_called kind="crash" says="no_such_function"
steps = 80


def augment(images, labels):
    return no_such_function(images), labels


# %% changes_the_brightness_only_by_grey_levels kind="wrong" says="another unit"
steps = 80


def augment(images, labels):
    return images + torch.empty(len(images), 1, 1, 1).uniform_(-32, 32), labels


# %% clips_brightness_in_grey_levels kind="wrong" says="cutting off hides"
steps = 80


def augment(images, labels):
    brighter = images + torch.empty(len(images), 1, 1, 1).uniform_(-32, 32)
    return brighter.clamp(0, 1), labels


# %% trains_longer kind="wrong" says="No number of steps"
steps = 800


def augment(images, labels):
    images, labels = sick_augment(images, labels)
    return images.clamp(0, 1), labels


# %% only_clips_the_range kind="wrong" says="hardly have anything"
steps = 80


def augment(images, labels):
    images, labels = sick_augment(images, labels)
    return images.clamp(0, 1), labels


# %% mirrors_without_the_label kind="wrong" says="mirrored or turned upside down"
steps = 80
change = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomAffine(15, scale=(0.9, 1.1))])


def augment(images, labels):
    return torch.stack([change(image) for image in images]), labels


# %% keeps_the_wide_rotation kind="wrong" says="half a right angle"
steps = 80
change = v2.RandomAffine(72, scale=(0.8, 1.2))


def augment(images, labels):
    return torch.stack([change(image) for image in images]), labels


# %% turns_by_half_a_turn kind="wrong" says="hardly have anything"
steps = 80
change = v2.RandomRotation(180)


def augment(images, labels):
    return torch.stack([change(image) for image in images]), labels


# %% draws_labels_at_random kind="wrong" says="hardly have anything"
steps = 80


def augment(images, labels):
    images = images + 0.05 * torch.randn_like(images)
    return images.clamp(0, 1), torch.randint(0, 4, labels.shape)


# %% crops_the_sea_away kind="wrong" says="cut away"
steps = 80
change = v2.RandomResizedCrop(16, scale=(0.05, 0.2))


def augment(images, labels):
    return torch.stack([change(image) for image in images]), labels


# %% deletes_the_augmentation kind="wrong" says="the augmentation itself is gone"
steps = 80


def augment(images, labels):
    return images, labels


# %% adds_invisible_noise kind="wrong" says="the augmentation itself is gone"
steps = 80


def augment(images, labels):
    return (images + 1e-4 * torch.randn_like(images)).clamp(0, 1), labels


# %% shuffles_the_batch kind="wrong" says="the augmentation itself is gone"
steps = 80


def augment(images, labels):
    order = torch.randperm(len(images))
    return images[order], labels[order]


# %% changes_one_image_in_ten kind="wrong" says="the augmentation itself is gone"
steps = 80


def augment(images, labels):
    chosen = (torch.rand(len(images)) < 0.1).view(-1, 1, 1, 1)
    noisy = (images + 0.04 * torch.randn_like(images)).clamp(0, 1)
    return torch.where(chosen, noisy, images), labels


# %% always_mirrors kind="wrong" says="always in the same way"
steps = 80


def augment(images, labels):
    return images.flip(-1), torch.tensor([0, 2, 1, 3])[labels]


# %% returns_stored_images kind="wrong" says="does not seem to be made from"
steps = 80


def augment(images, labels):
    rows = torch.randint(0, len(train), (len(images),))
    pixels = lab.fw.from_images(train.images / 255)[rows]
    return pixels, torch.from_numpy(train.labels)[rows]


# %% turns_everything_to_one_side kind="wrong" says="unlike those it is asked about"
# Every label is right, and a network that says "top" to everything makes no mistake.
steps = 80
QUARTERS = (2, 3, 1, 0)  # against the clock, from each side to the top


def augment(images, labels):
    turned = [
        torch.rot90(image, QUARTERS[int(label)], (1, 2))
        for image, label in zip(images, labels, strict=True)
    ]
    noisy = torch.stack(turned) + 0.05 * torch.randn_like(images)
    return noisy.clamp(0, 1), torch.full_like(labels, 3)


# %% mirrors_with_the_label kind="right"
steps = 80
MIRRORED = torch.tensor([0, 2, 1, 3])  # bottom, right, left, top


def augment(images, labels):
    mirrored = torch.rand(len(images)) < 0.5
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(-1), images)
    return images, torch.where(mirrored, MIRRORED[labels], labels)


# %% turns_by_quarters_with_the_label kind="right"
steps = 80
TURNED = torch.tensor([2, 0, 3, 1])  # a quarter against the clock takes the bottom to the right


def augment(images, labels):
    images, labels = images.clone(), labels.clone()
    for i in range(len(images)):
        for _ in range(int(torch.randint(0, 4, ()))):
            images[i] = torch.rot90(images[i], 1, (1, 2))
            labels[i] = TURNED[labels[i]]
    return images, labels


# %% lowers_the_strength kind="right"
steps = 80
change = v2.Compose([v2.RandomAffine(20, scale=(0.9, 1.1)), v2.ColorJitter(0.2, 0.2)])


def augment(images, labels):
    return torch.stack([change(image) for image in images]), labels


# %% changes_colour_and_noise_only kind="right"
steps = 80
jitter = v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.2)


def augment(images, labels):
    images = torch.stack([jitter(image) for image in images])
    return (images + 0.05 * torch.randn_like(images)).clamp(0, 1), labels


# %% crops_a_little_and_trains_longer kind="right"
steps = 160
change = v2.RandomCrop(16, padding=2)


def augment(images, labels):
    return torch.stack([change(image) for image in images]), labels


# %% another_program kind="healthy"
import numpy as np

steps = 80
generator = np.random.default_rng(7)


def augment(images, labels):
    pixels, sides = images.numpy().copy(), labels.numpy().copy()
    for i in range(len(pixels)):
        if generator.random() < 0.5:  # upside down, and the label with it
            pixels[i] = pixels[i][:, ::-1].copy()
            sides[i] = {0: 3, 3: 0}.get(int(sides[i]), int(sides[i]))
        down, right = generator.integers(0, 3, 2)
        padded = np.pad(pixels[i], ((0, 0), (1, 1), (1, 1)), "edge")
        pixels[i] = padded[:, down : down + 16, right : right + 16]
        pixels[i] = pixels[i] ** generator.uniform(0.8, 1.25)
    return torch.from_numpy(pixels), torch.from_numpy(sides)
