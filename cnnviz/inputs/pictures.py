"""Pictures in: an uploaded file or a camera's photo, read, checked, and its ink found.

Every public function raises InputError, and nothing else, on a file that it can't use. A photo's ink is found as in
document scanning: paper is the light that a wide brush leaves (a morphological closing), ink is the share of that light
which is missing, and N. Otsu's threshold (1979) parts ink from what is fainter, such as ruled lines.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image, ImageFile, ImageOps, JpegImagePlugin

from cnnviz.inputs.errors import InputError
from cnnviz.inputs.normalise import INK, Input, Step, fit, normalise, raw

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
TYPES = ["png", "jpg", "jpeg", "webp", "bmp", "gif"]
MAX_BYTES = 10 * 1000 * 1000
MAX_PIXELS = 50 * 1000 * 1000
"""Stricter than Pillow's own limit for decompression bombs, so that one never speaks first."""
MAX_WHOLE = 25 * 1000 * 1000
"""The same for what has to be decoded whole, with up to 16 bytes a pixel: all but a JPEG of one scan."""
MAX_SIDE = 65_535
"""Pixels of the longer side, as in JPEG and GIF: each row costs, however short it is."""
MAX_SCANNED = 250 * 1000 * 1000
"""Pixels times scans of a JPEG. A progressive one has about ten scans, a damaged or forged one may have thousands."""
LARGE = 1 * 1000 * 1000
"""Pixels up to which what has to be decoded whole need not wait. Larger ones are decoded one at a time, because one can
take 400 MB, and a class uploads at once."""
MAX_READS = 100_000
"""Pieces in which Pillow's Python takes a file apart; 10 MB can be cut into millions, which would take many seconds."""
MIN_SIDE = 8
"""Fewer pixels than that hold no digit."""
WORK_SIDE = 800
"""Larger pictures are reduced to this side while they are read: the network sees 28x28 of it."""
MAP_SIDE = 128
"""The longest side of a picture in the labs, where every pixel is shown and computed with."""

MIN_SKETCH = 24
"""A sketch's strokes must differ from their background by this much (of 255)."""
MOST_INK = 0.6
"""A larger share of a sketch than that is no ink: the background is not plain."""
SMALL_SIDE = 160
"""Side at which light and shadow are judged: they are smooth, so that a small picture tells all."""
WIDEST_STROKE = 0.25
"""Share of the picture's longer side: what is wider is paper, table or shadow, not a pen's line."""
WINDOW = 0.55
"""Share of the longer side in which the more frequent brightness is the ground's, however bold the digit."""
MIN_CONTRAST = 0.1
"""The ink must take this share of the paper's light away; a pencil takes 0.2 to 0.5, a pen 0.6 and more."""
NOISE = 5
"""Ink must stand out from the noise by so many standard deviations."""
MIN_DIGIT = 0.03
"""The smallest digit, as a share of the picture's longer side."""
MIDDLE = 0.35
"""How fast a mark counts less towards the picture's border, as a share of its sides."""
NEAR = 0.2
"""How far a detached part (the bar of a 5, of a crossed 7) may be, as a share of the digit's side."""
MIN_PART = 0.02
"""The smallest detached part, as a share of the digit's ink."""
MIN_SHARE = 0.15
"""The digit's share of all the ink in the middle of the picture; less is a page of writing, or noise."""

NO_INK = "No ink was found in the picture: take it closer, in even light, with one dark digit on pale paper."
NO_DIGIT = "No single digit stands out in the picture: take it closer, with one digit in the middle."

READABLE = "PNG, JPEG, WebP, BMP or GIF"
KNOWN_BY_START = {b"%PDF": "a PDF", b"<svg": "an SVG drawing", b"II*\0": "a TIFF picture", b"MM\0*": "a TIFF picture",
                  b"PK\3\4": "a ZIP archive or a document"}  # fmt: skip
"""What people upload instead, told by how the file starts."""

PATIENCE = 30.0
"""Seconds that a large picture waits for its turn, at most: they are decoded one at a time, each within two."""
_alone = threading.Lock()

# One forged file can have 65,000 wrong notes, each of which Pillow would write into the server's log.
warnings.filterwarnings("ignore", module=r"PIL\.")


class Pieces(io.BytesIO):
    """A file that is read in MAX_READS pieces at most."""

    left = MAX_READS

    def read(self, size: int | None = -1) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise InputError("The picture's file is cut into too many pieces: save it again, as PNG or JPEG.")
        return super().read(size)


def from_picture(data: bytes, how: str = "photo") -> Input:
    """Make a picture file into what the network expects.

    Args:
        data: the file's bytes: PNG, JPEG, WebP, BMP or GIF.
        how: "photo": a digit on paper, a board or a screen, dark on pale or pale on dark, with uneven light, faint
            ruled lines, specks and borders. "sketch": clean strokes on a plain or transparent background, every mark
            of which counts. "raw": squeezed to 28x28 and nothing else, for pictures in MNIST's form; they are expected
            pale on dark, and inverted if the background is bright.

    Returns:
        The input, with all steps from the picture to the network.

    Raises:
        InputError: the file can't be read or has no ink in it.
        ValueError: no such `how`.
    """
    if how not in HOW:
        raise ValueError(f"how must be one of {', '.join(HOW)}, not {how!r}")
    picture = decode(data)
    try:
        return HOW[how](picture)
    except InputError:
        raise
    except (cv2.error, ArithmeticError, ValueError, IndexError, MemoryError) as error:
        raise InputError("The picture could not be read as a digit: try another one.") from error


def for_network(data: bytes, how: str, shape: tuple[int, int, int]) -> Input:
    """Make a picture file into what a network of this input shape expects.

    A network for colour pictures is given the middle square of it, in colour, made smaller, whatever `how` says.

    Raises:
        InputError: as `from_picture`.
    """
    if shape[2] == 1:
        read = from_picture(data, how)
        return Input(fit(read.pixels, shape), read.steps)
    picture = decode(data)
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    small = cv2.resize(square, shape[1::-1], interpolation=cv2.INTER_AREA if side > shape[0] else cv2.INTER_LINEAR)
    pixels = fit(small.reshape(*small.shape[:2], -1) / np.float32(255), shape)
    return Input(pixels, (Step("the picture", picture), Step("its middle", square), Step("as it is read", small)))


def decode(data: bytes, least: int = MIN_SIDE) -> np.ndarray:
    """Read a picture file: upright, opaque, its first frame, reduced to WORK_SIDE where it is larger.

    What is transparent becomes the paper that the rest was made for: white under dark ink, black under pale ink.

    Args:
        data: the file's bytes.
        least: pixels that each side has to have.

    Returns:
        uint8, (h, w) grey or (h, w, 3) RGB.

    Raises:
        InputError: not a picture, damaged, or past a limit. The limits are checked before any pixel is decoded.
    """
    with contextlib.ExitStack() as turn:  # given up when `_decode` has let go of all that it held
        return _decode(data, least, turn)


def _decode(data: bytes, least: int, turn: contextlib.ExitStack) -> np.ndarray:
    if not data:
        raise InputError(f"The file is empty: choose a picture ({READABLE}).")
    if len(data) > MAX_BYTES:
        raise InputError(f"The file has {len(data) / 1e6:.1f} MB and {MAX_BYTES // 1_000_000} MB is the most: "
                         "make the picture smaller or save it as JPEG.")  # fmt: skip
    try:
        with Image.open(Pieces(data), formats=FORMATS) as image:
            check_size(*image.size, least)
            check_work(image, data)
            if image.width * image.height > LARGE and is_held_whole(image, data):
                if not _alone.acquire(timeout=PATIENCE):
                    raise InputError("Many large pictures are being read just now: try again in a minute, or choose a "
                                     "smaller one.")  # fmt: skip
                turn.callback(_alone.release)
            return opaque(upright(reduced(image)))
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels: make it smaller.") from None
    except Image.UnidentifiedImageError:
        raise InputError(not_a_picture(data)) from None
    except MemoryError:
        raise InputError("The picture is too large for this computer's memory: make it smaller.") from None
    except Exception as error:  # Pillow's decoders raise almost anything on a damaged file.
        raise InputError("The picture is damaged or incomplete: save or send it again.") from error


def as_map(data: bytes) -> np.ndarray:
    """A picture file as it is, for the labs: float32 (h, w, 1) grey or (h, w, 3) RGB in [0, 1], MAP_SIDE at most.

    Raises:
        InputError: as `decode`.
    """
    picture = decode(data, least=1)
    factor = MAP_SIDE / max(picture.shape[:2])
    if factor < 1:
        size = [max(round(side * factor), 1) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    if picture.ndim == 3 and np.ptp(picture, axis=2).max() <= 2:
        picture = picture[..., 0]  # grey, saved as RGB
    return (picture.astype(np.float32) / 255).reshape(*picture.shape[:2], -1)


def check_size(width: int, height: int, least: int = MIN_SIDE) -> None:
    """Raise InputError for a picture with too many or too few pixels."""
    if max(width, height) > MAX_SIDE:
        raise InputError(f"The picture has {width:,} × {height:,} pixels and {MAX_SIDE:,} each way is the most: "
                         "cut it.")  # fmt: skip
    if width * height > MAX_PIXELS:
        raise InputError(f"The picture has {width:,} × {height:,} pixels and {MAX_PIXELS // 1_000_000} megapixels is "
                         "the most: make it smaller.")  # fmt: skip
    if min(width, height) < least:
        raise InputError(f"The picture has only {width:,} × {height:,} pixels: a digit needs at least "
                         f"{least} each way.")  # fmt: skip


def check_work(image: ImageFile.ImageFile, data: bytes) -> None:
    """Raise InputError for a picture that takes too much memory or time to decode."""
    pixels = image.width * image.height
    if pixels > MAX_WHOLE and is_held_whole(image, data):
        raise InputError(f"The picture has {image.width:,} × {image.height:,} pixels and {MAX_WHOLE // 1_000_000} "
                         "megapixels is the most, unless it is a JPEG and not a progressive one: make it "
                         "smaller.")  # fmt: skip
    if pixels * scans(image, data) > MAX_SCANNED:
        raise InputError("The JPEG has too many scans for its size: make it smaller, or save it without “progressive”.")


def is_held_whole(image: ImageFile.ImageFile, data: bytes) -> bool:
    """Whether its decoder holds all pixels at once. A JPEG of one scan, like a phone's photo, is read row by row."""
    return not isinstance(image, JpegImagePlugin.JpegImageFile) or "progressive" in image.info or scans(image, data) > 1


def scans(image: ImageFile.ImageFile, data: bytes) -> int:
    """How often a JPEG's pixels are gone over; not in the small picture of itself that a camera puts in front. Asked of
    the class and not of `format`, which is MPO where further pictures follow. 0 for other formats.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return 0
    return data.count(b"\xff\xda") - sum(content.count(b"\xff\xda") for _, content in image.applist)


def not_a_picture(data: bytes) -> str:
    """The sentence for a file that none of FORMATS fits."""
    start = data[:1000].lstrip(b"\xef\xbb\xbf \r\n\t")
    kind = next((kind for mark, kind in KNOWN_BY_START.items() if start.startswith(mark)), None)
    if start.startswith(b"<?xml") and b"<svg" in start:
        kind = KNOWN_BY_START[b"<svg"]
    elif data[4:8] == b"ftyp":
        kind = "a film or a HEIC or AVIF photo"
    if kind:
        return f"The file is {kind}, which can't be read here: save it as PNG or JPEG and choose that."
    return f"The file is no picture, or a damaged one: choose a {READABLE} file."


def reduced(image: ImageFile.ImageFile) -> Image.Image:
    """Decode, with WORK_SIDE pixels on the longer side at most; grey, RGB, or with alpha; 8 bit."""
    factor = max(image.size) / WORK_SIDE
    if factor > 1:
        # JPEG is decoded straight into a half, a quarter or an eighth: ten times faster, and a fraction of the memory.
        image.draft(None, (max(int(image.width / factor), 1), max(int(image.height / factor), 1)))
    image.load()
    if image.mode.startswith("I"):  # 16 bit, which Pillow would cut off at 255 rather than scale
        picture = Image.fromarray((np.asarray(image) // 257).clip(0, 255).astype(np.uint8))
        picture.info = {key: value for key, value in image.info.items() if key == "exif"}
    elif image.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in image.info:
        picture = image
    elif image.has_transparency_data:
        picture = image.convert("RGBA")
    else:
        picture = image.convert("L" if image.mode == "1" else "RGB")
    factor = max(picture.size) / WORK_SIDE
    if factor > 1:
        size = max(round(picture.width / factor), 1), max(round(picture.height / factor), 1)
        picture = picture.resize(size, Image.Resampling.BOX, reducing_gap=2)
    return picture


def upright(image: Image.Image) -> Image.Image:
    """Turned as the camera was held; as it is where the note about that is damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # EXIF is written by every camera in its own way; the picture itself is fine.
        return image


def opaque(image: Image.Image) -> np.ndarray:
    """Laid over the paper that it was made for. Image to uint8 (h, w) or (h, w, 3)."""
    if image.mode in ("L", "RGB"):
        return np.asarray(image)
    *_, alpha = image.split()
    alpha = np.asarray(alpha, np.float32) / 255
    colours = np.asarray(image.convert("RGBA"), np.float32)[..., :3]
    solid = alpha >= 0.5
    if solid.mean() > 0.5:
        paper = np.median(colours[solid], axis=0)  # a picture with holes or round corners: more of the same
    else:
        brightness = (colours.mean(axis=2) * alpha).sum() / max(alpha.sum(), 1e-6)  # ink on nothing
        paper = 255 if brightness < 128 else 0
    return np.round(colours * alpha[..., None] + paper * (1 - alpha[..., None])).astype(np.uint8)


def grey(picture: np.ndarray) -> np.ndarray:
    """Brightness: uint8 (h, w) or (h, w, 3) RGB to uint8 (h, w)."""
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def edge_colour(picture: np.ndarray) -> np.ndarray:
    """The median colour along the picture's four sides: the background. Float, one value a channel."""
    sides = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return np.median(np.concatenate(sides), axis=0)


def with_steps(picture: np.ndarray, ink: np.ndarray) -> Input:
    """Normalise the ink, and show where it came from."""
    result = normalise(ink)
    return replace(result, steps=(Step("picture", picture), Step("ink found", ink), *result.steps[1:]))


def as_sketch(picture: np.ndarray) -> Input:
    """Ink is whatever differs from the plain background, in any colour."""
    difference = np.abs(picture.astype(np.float32) - edge_colour(picture))
    if picture.ndim == 3:
        difference = difference.max(axis=2)
    strongest = difference.max()
    if strongest < MIN_SKETCH:
        raise InputError("The picture is blank: draw a digit that stands out from its background.")
    ink = np.round(difference * (255 / strongest)).astype(np.uint8)
    if (ink >= INK).mean() > MOST_INK:
        raise InputError("The picture has no plain background: read it as a photo, or draw on one colour.")
    return with_steps(picture, ink)


def as_raw(picture: np.ndarray) -> Input:
    """Squeezed to 28x28; a bright background is turned dark."""
    levels = grey(picture)
    if np.ptp(levels) < MIN_SKETCH:
        raise InputError("The picture is blank: choose one with a digit in it.")
    if edge_colour(levels) > 127:
        levels = 255 - levels
    result = raw(levels)
    return replace(result, steps=(Step("picture", picture), *result.steps))


def as_photo(picture: np.ndarray) -> Input:
    """Find the digit's ink on paper in uneven light."""
    levels = grey(picture)
    if min(levels.shape) >= 200:  # against the sensor's noise; smaller pictures have thin lines and less of it
        levels = cv2.GaussianBlur(levels, (0, 0), max(levels.shape) / 700)
    if pale_on_dark(levels):
        levels = 255 - levels
    strength = ink_strength(levels)
    threshold, full = ink_levels(strength)
    digit = the_digit(strength > threshold, strength)
    # Soft edges: where the ink has half of its full strength, the pen's outline, the value is half of 255.
    ink = ((strength - 0.2 * full) / (0.6 * full)).clip(0, 1) * digit * 255
    return with_steps(picture, np.round(ink).astype(np.uint8))


def small(levels: np.ndarray) -> np.ndarray:
    """Reduced to SMALL_SIDE."""
    factor = max(max(levels.shape) / SMALL_SIDE, 1)
    size = max(round(levels.shape[1] / factor), 1), max(round(levels.shape[0] / factor), 1)
    return cv2.resize(levels, size, interpolation=cv2.INTER_AREA)


def odd(length: float) -> int:
    """The nearest odd number, 3 at least: the sizes of brushes and windows that have a middle."""
    return max(2 * round((length - 1) / 2) + 1, 3)


def pale_on_dark(levels: np.ndarray) -> bool:
    """Whether the marks in the middle are brighter than what is around them. uint8 (h, w)."""
    view = small(levels)
    # The median of a wide window is the ground, whether that is pale or dark, as long as lines are narrow.
    ground = cv2.medianBlur(view, odd(WINDOW * max(view.shape)))
    difference = view.astype(np.float32) - ground
    # Mostly the middle: further out, a sheet on a dark table would be the mark.
    middle = np.outer(*(np.hanning(n + 2)[1:-1] ** 4 for n in view.shape))
    return bool((middle * difference * np.abs(difference)).sum() > 0)


def ink_strength(levels: np.ndarray) -> np.ndarray:
    """The share of the paper's light that is missing. uint8 (h, w), dark on pale, to float32 (h, w) in [0, 1]."""
    view = small(levels)
    brush = odd(WIDEST_STROKE * max(view.shape))
    # Repeated edges: a strip of table at the picture's border goes on outside, and so is no line.
    view = cv2.copyMakeBorder(view, brush, brush, brush, brush, cv2.BORDER_REPLICATE)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (brush, brush))
    paper = cv2.morphologyEx(view, cv2.MORPH_CLOSE, disc)[brush:-brush, brush:-brush]
    # A sheet's edge on a dark table is no line either: there, the light of the darker side counts.
    paper = cv2.erode(paper, np.ones((5, 5), np.uint8))
    paper = cv2.resize(cv2.GaussianBlur(paper, (0, 0), 1.5), levels.shape[::-1], interpolation=cv2.INTER_LINEAR)
    paper = paper.astype(np.float32)
    # In deep shade every flicker is a large share of the light: there, the share is taken of 64.
    return ((paper - levels) / np.maximum(paper, 64)).clip(0, 1)


def ink_levels(strength: np.ndarray) -> tuple[float, float]:
    """From which strength on it is ink, and how strong ink is where it is full.

    Raises:
        InputError: nothing stands out.
    """
    sample = strength[:: max(strength.shape[0] // 250, 1), :: max(strength.shape[1] // 250, 1)]
    ground = float(np.median(sample))
    noise = 1.4826 * float(np.median(np.abs(sample - ground)))
    floor = max(MIN_CONTRAST, ground + NOISE * noise)
    marks = strength[strength > floor]
    if marks.size < 6 or marks.size > MOST_INK * strength.size:
        raise InputError(NO_INK)
    otsu, _ = cv2.threshold(np.round(marks * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    full = float(np.median(marks[marks >= otsu / 255]))
    return max(floor, min(max(otsu / 255, 0.35 * full), 0.55 * full)), full


def the_digit(mask: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """The largest mark near the middle, and the parts that belong to it. bool (h, w) in and out, with a soft margin.

    Raises:
        InputError: there is none, it is a speck, or it is one of many.
    """
    height, width = mask.shape
    side = max(height, width)
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (odd(side / 150),) * 2)
    bridged = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, pen) if side >= 200 else mask.astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(bridged, connectivity=8)
    if count < 2:
        raise InputError(NO_INK)
    rows, columns = np.nonzero(labels)
    of, ink = labels[rows, columns], strength[rows, columns]
    weight = np.bincount(of, ink, count)
    x, y, w, h = boxes[:, :4].T
    at_border = (x <= 1) | (y <= 1) | (x + w >= width - 1) | (y + h >= height - 1)
    off = ((rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2) / MIDDLE**2
    score = np.bincount(of, ink * np.exp(-off), count) * np.where(at_border, 0.05, 1)
    main = int(score.argmax())
    if max(w[main], h[main]) < max(MIN_DIGIT * side, 5):
        raise InputError(NO_INK)
    apart = cv2.distanceTransform((labels != main).astype(np.uint8), cv2.DIST_L2, 5)
    inside = (x >= x[main]) & (y >= y[main]) & (x + w <= x[main] + w[main]) & (y + h <= y[main] + h[main])
    inside[of[apart[rows, columns] <= NEAR * max(w[main], h[main])]] = True
    parts = inside & (weight >= MIN_PART * weight[main]) & (~at_border | at_border[main])
    parts[0] = False
    if weight[parts].sum() < MIN_SHARE * weight[~at_border | parts].sum():
        raise InputError(NO_DIGIT)
    return cv2.dilate(parts[labels].astype(np.uint8), pen).astype(bool)


HOW = {"photo": as_photo, "sketch": as_sketch, "raw": as_raw}
