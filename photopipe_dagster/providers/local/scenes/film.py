"""From linear light to a picture: exposure, tone curve, grain, dither."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photopipe_dagster.providers.local.scenes.frame import Floats

_BRIGHTEST = 16.0
_CODES = 1 << 14
_STRIP = 256

_COLOUR_GRAIN = 3.0
"""Size of the colour's grain in pixels: what is finer is lost where a JPEG halves its colour."""

_COLOUR_NOISE = 0.6
"""Its standard deviation, 8-bit levels of Cb and Cr: as much as their rounding needs to be dithered
when the picture is written twice. Less than the eye sees."""

# JFIF 1.02: what Cb and Cr add to red, green and blue.
_FROM_CB_CR = np.array([[0.0, -0.344, 1.772], [1.402, -0.714, 0.0]], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Film:
    """How light becomes a picture.

    Args:
        exposure: Factor on the light.
        shoulder: Linear value above which highlights are compressed towards white.
        contrast: Strength of the S-curve about middle grey, 0 to 1.
        grain: Standard deviation of the grain, in 8-bit levels, at middle grey.
    """

    exposure: float = 1.0
    shoulder: float = 0.6
    contrast: float = 0.2
    grain: float = 1.3


def develop(
    light: Floats, film: Film, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Expose, print and quantise.

    Args:
        light: Linear light, (rows, columns, 3) float32.
        film: The look.
        size: Width and height of the picture, pixels; the light is enlarged to it where it was
            rendered smaller, and the grain is that of the final size.
        rng: Draws grain and dither.

    Returns:
        (height, width, 3) uint8, sRGB.
    """
    width, height = size
    curve = _tone_curve(film)
    codes = _encode(light, film.exposure)
    if codes.shape[:2] != (height, width):
        codes = np.asarray(cv2.resize(codes, size, interpolation=cv2.INTER_CUBIC))
    grain_size = (width * height) ** 0.5 / 2400
    colour = _colour_grain(width, height, rng)
    picture = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _STRIP):
        strip = codes[top : top + _STRIP]
        tone = curve[strip]
        grain = _grain(strip.shape[0], width, grain_size, rng)
        # Grain is strongest in the mid-tones and absent in pure black and white.
        green = tone[..., 1] / np.float32(255)
        grain *= np.float32(film.grain) * (np.float32(0.35) + np.float32(2.6) * green * (1 - green))
        tone += grain[..., None]
        # Black and white have no colour to dither.
        tinted = np.minimum(np.float32(1), np.float32(32) * np.minimum(green, 1 - green))
        coloured = cv2.transform(colour[top : top + _STRIP], _FROM_CB_CR.T)
        tone += coloured * np.maximum(np.float32(0), tinted)[..., None]
        # Dither of one level's width, before truncation: gradients do not band.
        tone += rng.random(tone.shape, dtype=np.float32)
        np.clip(tone, 0, 255, out=tone)
        picture[top : top + _STRIP] = tone.astype(np.uint8)
    return picture


def _encode(light: Floats, exposure: float) -> NDArray[np.uint16]:
    """Square-root coded light: fine steps in the shadows, where the eye sees them."""
    coded = np.clip(light, 0, _BRIGHTEST / exposure)
    np.sqrt(coded, out=coded)
    coded *= np.float32((exposure / _BRIGHTEST) ** 0.5 * (_CODES - 1))
    coded += np.float32(0.5)
    return coded.astype(np.uint16)


def _tone_curve(film: Film) -> Floats:
    """Levels 0 to 255 (not rounded) for every code of `_encode`."""
    light = (np.linspace(0, 1, _CODES) ** 2) * _BRIGHTEST
    knee = film.shoulder
    bright = knee + (1 - knee) * (1 - np.exp(-(light - knee) / (1 - knee)))
    light = np.where(light > knee, bright, light)
    # IEC 61966-2-1, the sRGB transfer function.
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    s_curve = srgb * srgb * (3 - 2 * srgb)
    levels = 255 * (srgb + film.contrast * (s_curve - srgb))
    # An enlarged picture may overshoot the last code.
    return np.concatenate([levels, np.full(1 << 15, levels[-1])]).astype(np.float32)


def _grain(rows: int, columns: int, size: float, rng: np.random.Generator) -> Floats:
    """Noise of standard deviation 1 whose grains are about `size` pixels wide."""
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    if size > 0.4:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), size), dtype=np.float32)
        # A Gaussian blur of white noise divides its deviation by 2·sqrt(pi)·sigma.
        noise *= np.float32(max(1.0, 2 * np.pi**0.5 * size))
    return noise


def _colour_grain(width: int, height: int, rng: np.random.Generator) -> Floats:
    """Noise of Cb and Cr, (height, width, 2): without it, smooth colour breaks into bands of pink
    and green wherever the JPEG's Cb or Cr goes from one whole number to the next.
    """
    small = tuple(max(2, round(each / _COLOUR_GRAIN)) for each in (height, width))
    noise = rng.standard_normal((*small, 2), dtype=np.float32)
    # Interpolation between the grains averages, and takes a third of the deviation.
    noise *= np.float32(1.45 * _COLOUR_NOISE)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR))
