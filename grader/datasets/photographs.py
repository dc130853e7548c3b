"""Large photographs as JPEG files, made from small images: more pixels than a model will see."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

#: Pixels on a side of a photograph.
SIDE = 384


def as_jpeg(
    images: np.ndarray, side: int = SIDE, quality: int = 90, seed: int = 0, detail: float = 16.0
) -> list[bytes]:
    """Enlarge images and keep each as the content of a JPEG file.

    Two things are laid over them that an enlarged image lacks and a photograph has: a fine texture,
    as of gravel, with waves of 2.5 to 3.7 pixels of the image as it was given; and a grain like a
    sensor's, a pixel of the photograph wide. Who shrinks the photograph to the size of the image
    keeps the texture and averages the grain away; at half that size the texture is lost, and where
    pixels are picked instead of averaged the grain stays. Image k of any selection gets the same
    texture and grain, whatever the others are.

    Args:
        images: uint8 (N, H, W, 3), RGB.
        side: pixels on a side of what is written.
        quality: of JPEG, 1..95.
        seed: of the texture and the grain.
        detail: standard deviation of the texture, in levels of 255.
    """
    rng = np.random.default_rng(seed)
    grain = rng.integers(-40, 41, (side, side, 3)).astype(np.int16)
    grain += np.rint(detail * _texture(rng, side, images.shape[1]))[..., None].astype(np.int16)
    files = []
    for place, pixels in enumerate(images):
        enlarged = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
        # One field, shifted for each photograph, because drawing it takes longer than the rest
        # together.
        shifted = np.roll(grain, (11 * place, 7 * place), axis=(0, 1))
        noisy = np.clip(np.asarray(enlarged).astype(np.int16) + shifted, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, format="JPEG", quality=quality)
        files.append(buffer.getvalue())
    return files


def _texture(rng: np.random.Generator, side: int, size: int) -> np.ndarray:
    """Noise of waves that `size` pixels can hold and half as many cannot: (side, side), std 1."""
    waves = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side / size
    spectrum = np.fft.rfft2(rng.standard_normal((side, side)))
    field = np.fft.irfft2(spectrum * ((waves >= 0.27) & (waves <= 0.4)), (side, side))
    return np.asarray(field / max(float(field.std()), 1e-9))


def write(contents: Sequence[bytes], folder: str | Path, first: int = 0) -> list[str]:
    """Write files "00000.jpg", ... into a folder, which is made if need be; return their paths.

    Args:
        first: number of the first file.
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    files = [root / f"{first + place:05d}.jpg" for place in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return [str(file) for file in files]


def shrunk(content: bytes, size: int) -> np.ndarray:
    """What a model of `size` pixels sees of a photograph: uint8 (size, size, 3), antialiased."""
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
