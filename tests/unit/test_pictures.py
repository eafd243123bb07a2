"""Picture files to network input: every file format, photos in bad light, limits, and files that are none."""

from __future__ import annotations

import contextlib
import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from cnnviz.inputs import InputError, Stroke, normalise, rasterise
from cnnviz.inputs.pictures import (
    MAP_SIDE,
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SIDE,
    MAX_WHOLE,
    MIN_SIDE,
    WORK_SIDE,
    as_map,
    check_size,
    decode,
    from_picture,
)
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_weights


def curve(*points: tuple[float, float], width: float = 0.06) -> Stroke:
    return Stroke(np.array(points, np.float32), width)


def arc(x, y, rx, ry, start, end, width: float = 0.06) -> Stroke:
    angles = np.radians(np.linspace(start, end, 24))
    return Stroke(np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], 1).astype(np.float32), width)


DRAWN = {
    0: (arc(0.5, 0.5, 0.17, 0.26, 0, 360),),
    1: (curve((0.5, 0.22), (0.5, 0.5), (0.5, 0.78)),),
    2: (curve((0.34, 0.34), (0.4, 0.25), (0.52, 0.22), (0.64, 0.3), (0.62, 0.44), (0.48, 0.6), (0.34, 0.76)),
        curve((0.34, 0.76), (0.68, 0.76))),
    3: (arc(0.47, 0.36, 0.15, 0.13, -150, 90), arc(0.47, 0.63, 0.17, 0.14, -90, 150)),
    4: (curve((0.42, 0.24), (0.36, 0.42), (0.34, 0.52)), curve((0.34, 0.52), (0.68, 0.52)),
        curve((0.6, 0.24), (0.6, 0.78))),
    5: (curve((0.42, 0.26), (0.4, 0.46)), arc(0.48, 0.6, 0.16, 0.15, -120, 140), curve((0.42, 0.26), (0.66, 0.25))),
    6: (curve((0.6, 0.22), (0.46, 0.34), (0.38, 0.5), (0.37, 0.64)), arc(0.5, 0.64, 0.13, 0.13, 180, 540)),
    7: (curve((0.34, 0.27), (0.66, 0.27)), curve((0.66, 0.27), (0.55, 0.5), (0.46, 0.77))),
    8: (arc(0.5, 0.36, 0.12, 0.13, 90, 450), arc(0.5, 0.63, 0.15, 0.14, -90, 270)),
    9: (arc(0.49, 0.37, 0.13, 0.13, 0, 360), curve((0.62, 0.37), (0.61, 0.56), (0.58, 0.78))),
}  # fmt: skip


@pytest.fixture(scope="module")
def classify():
    """float32 (28, 28, 1) to a digit, with the shipped weights and no TensorFlow."""
    network = PRESETS["lenet5"]
    weights = load_weights(network)

    def forward(pixels: np.ndarray) -> int:
        values = pixels
        for layer in network.layers:
            if layer.kind == "conv":
                kernel, bias = weights[layer.name]
                edge = layer.kernel // 2 if layer.padding == "same" else 0
                padded = np.pad(values, ((edge, edge), (edge, edge), (0, 0)))
                windows = np.lib.stride_tricks.sliding_window_view(padded, (layer.kernel, layer.kernel), (0, 1))
                values = np.maximum(np.einsum("xycij,ijcf->xyf", windows, kernel) + bias, 0)
            elif layer.kind == "pool":
                height, width, channels = values.shape
                values = values.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))
            elif layer.kind == "flatten":
                values = values.ravel()
            elif layer.kind == "dense":
                kernel, bias = weights[layer.name]
                values = values @ kernel + bias
                values = np.maximum(values, 0) if layer.activation == "relu" else values
        return int(values.argmax())

    return forward


def saved(picture: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def on_paper(ink: np.ndarray, seed: int, ground=(225, 218, 200), pen=(40, 42, 60), shade=0.4, ruled=False, noise=7):
    """Ink (h, w) on paper with a shadow from one side, noise and, if asked, ruled lines. uint8 (h, w, 3)."""
    random = np.random.default_rng(seed)
    share = ink[..., None] / np.float32(255)
    paper = np.broadcast_to(np.float32(ground), (*ink.shape, 3)).copy()
    if ruled:
        paper[20 :: ink.shape[0] // 12] *= (0.8, 0.88, 0.98)
    light = np.linspace(1, 1 - shade, ink.shape[1], dtype=np.float32)[None, :, None]
    picture = (paper * (1 - share) + np.float32(pen) * share) * light
    return (picture + random.normal(0, noise, picture.shape)).clip(0, 255).astype(np.uint8)


def refuses(data: bytes, *words: str, how: str = "photo") -> None:
    with pytest.raises(InputError) as caught:
        from_picture(data, how)
    sentence = str(caught.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


# Sketches


@pytest.mark.parametrize("digit", DRAWN)
def test_a_saved_sketch_is_what_was_drawn(digit):
    ink = rasterise(DRAWN[digit])
    expected = normalise(ink).pixels
    white = np.dstack([np.full_like(ink, 255)] * 3 + [ink])
    black = np.dstack([np.zeros_like(ink)] * 3 + [ink])
    yellow = np.dstack([255 - ink, 255 - ink, ink * 0])
    for picture in (ink, 255 - ink, white, black, np.dstack([ink, ink, ink]), yellow):
        assert np.abs(from_picture(saved(picture), "sketch").pixels - expected).max() <= 0.02


@pytest.mark.parametrize("digit", DRAWN)
def test_a_sketch_is_read_as_a_photo_too(digit, classify):
    ink = rasterise(DRAWN[digit])
    for picture in (ink, 255 - ink):
        assert classify(from_picture(saved(picture)).pixels) == digit


def test_sketch_keeps_every_mark():
    ink = rasterise((*DRAWN[7], curve((0.1, 0.1), width=0.03)))
    pixels = from_picture(saved(ink), "sketch").pixels
    assert np.abs(pixels - normalise(ink).pixels).max() < 0.01


def test_steps_go_from_picture_to_network():
    picture = on_paper(rasterise(DRAWN[5], 400), 1)
    result = from_picture(saved(picture))
    assert [step.name for step in result.steps[:2]] == ["picture", "ink found"]
    assert [step.name for step in result.steps[2:]] == [step.name for step in normalise(rasterise(DRAWN[5])).steps[1:]]
    np.testing.assert_array_equal(result.steps[0].picture, picture)
    np.testing.assert_array_equal(result.steps[-1].picture / np.float32(255), result.pixels[..., 0])
    assert result.pixels.shape == (28, 28, 1)
    assert result.pixels.dtype == np.float32


# Photos


@pytest.mark.parametrize("digit", DRAWN)
@pytest.mark.parametrize("scene", ["shadow", "ruled", "board", "screen", "pencil", "table", "noise", "corner"])
def test_a_photo_is_read(scene, digit, classify):
    ink = np.zeros((600, 800), np.uint8)
    ink[60:540, 160:640] = rasterise(DRAWN[digit], 480)
    looks = {
        "shadow": {"shade": 0.65}, "ruled": {"ruled": True}, "noise": {"noise": 22},
        "board": {"ground": (45, 75, 55), "pen": (225, 225, 210)},
        "screen": {"ground": (8, 8, 12), "pen": (120, 200, 255)},
        "pencil": {"pen": (150, 148, 140), "noise": 5},
    }  # fmt: skip
    if scene == "corner":  # a small digit off the middle
        ink = np.zeros((600, 800), np.uint8)
        ink[40:280, 440:680] = rasterise(DRAWN[digit], 240)
    picture = on_paper(ink, digit, **looks.get(scene, {}))
    if scene == "table":
        turn = cv2.getRotationMatrix2D((400, 300), 8, 0.75)
        sheet = cv2.warpAffine(np.ones(ink.shape, np.float32), turn, (800, 600))[..., None]
        table = np.random.default_rng(digit).normal((70, 45, 30), 6, picture.shape)
        picture = cv2.warpAffine(picture, turn, (800, 600)) * sheet + table * (1 - sheet)
        picture = picture.clip(0, 255).astype(np.uint8)
    assert classify(from_picture(saved(picture, "JPEG", quality=80)).pixels) == digit


def test_specks_are_dropped_and_a_detached_bar_is_kept():
    lower, bar = curve((0.545, 0.5), (0.46, 0.77)), curve((0.4, 0.55), (0.47, 0.55), width=0.04)
    seven = (curve((0.34, 0.27), (0.66, 0.27)), curve((0.66, 0.27), (0.6, 0.4)), lower, bar)
    specks = tuple(curve((x, y), width=0.012) for x, y in ((0.1, 0.1), (0.9, 0.85), (0.12, 0.9), (0.88, 0.12)))
    ink = rasterise((*seven, *specks), 600)
    found = from_picture(saved(on_paper(ink, 3))).steps[1].picture
    rows, columns = np.nonzero(found)
    assert rows.min() > 0.2 * 600
    assert columns.max() < 0.75 * 600
    assert found[int(0.7 * 600), int(0.48 * 600)] > 128  # the lower part
    assert found[int(0.55 * 600), int(0.43 * 600)] > 128  # the bar


# Files


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_every_format(kind, classify):
    assert classify(from_picture(saved(on_paper(rasterise(DRAWN[3]), 1, noise=2), kind)).pixels) == 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_may_be_held_in_any_way(orientation, kind):
    upright = Image.fromarray(on_paper(cv2.resize(rasterise(DRAWN[7]), (200, 300)), 1, noise=0))
    turned = upright.transpose({  # how the pixels lie in a file with that note
        1: Image.Transpose.ROTATE_90, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]) if orientation > 1 else upright  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(saved(turned, kind, exif=exif, **({} if kind == "PNG" else {"quality": 95})))
    assert picture.shape == (300, 200, 3)
    assert np.abs(picture.astype(int) - np.asarray(upright)).mean() < 4


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_matter():
    assert decode(saved(on_paper(rasterise(DRAWN[7]), 1), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")).size


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "P with transparency", "RGB", "RGBA", "CMYK", "I;16", "tRNS"])
def test_every_kind_of_pixel(mode, classify):
    ink = rasterise(DRAWN[4])
    grey = Image.fromarray(255 - ink)
    kind, options = "PNG", {}
    if mode == "P":
        image = grey.convert("RGB").quantize(16)
    elif mode == "P with transparency":
        image, options = grey.point(lambda v: 255 * (v > 127)).convert("P"), {"transparency": 255}
    elif mode == "tRNS":
        image, options = grey.convert("RGB"), {"transparency": (255, 255, 255)}
    elif mode == "I;16":
        image = Image.fromarray((255 - ink).astype(np.uint16) * 257)
    elif mode == "CMYK":
        image, kind = grey.convert("RGB").convert("CMYK"), "JPEG"
    else:
        image = grey.convert(mode)
    for how in ("sketch", "photo"):
        assert classify(from_picture(saved(image, kind, **options), how).pixels) == 4


@pytest.mark.parametrize("ink_colour", [255, 230, 40, 0])
def test_ink_on_nothing_is_seen_whatever_its_colour(ink_colour, classify):
    ink = rasterise(DRAWN[2])
    image = Image.merge("LA", [Image.new("L", (280, 280), ink_colour), Image.fromarray(ink)])
    for how in ("sketch", "photo"):
        assert classify(from_picture(saved(image), how).pixels) == 2
        assert classify(from_picture(saved(image, "WEBP", lossless=True), how).pixels) == 2


def test_round_corners_are_paper(classify):
    ink = rasterise(DRAWN[6])
    disc = cv2.circle(np.zeros_like(ink), (140, 140), 150, 255, -1)
    assert classify(from_picture(saved(np.dstack([ink, ink, ink, disc]))).pixels) == 6


def test_the_first_frame_counts(classify):
    frames = [Image.fromarray(255 - rasterise(DRAWN[digit])) for digit in (8, 1)]
    for kind in ("GIF", "WEBP", "PNG"):
        assert classify(from_picture(saved(frames[0], kind, save_all=True, append_images=frames[1:])).pixels) == 8


def test_raw_is_only_squeezed():
    random = np.random.default_rng(0)
    picture = (rasterise(DRAWN[3], 28) * random.uniform(0.7, 1, (28, 28))).astype(np.uint8)
    expected = picture / np.float32(255)
    np.testing.assert_array_equal(from_picture(saved(picture), "raw").pixels[..., 0], expected)
    np.testing.assert_array_equal(from_picture(saved(255 - picture), "raw").pixels[..., 0], expected)
    assert from_picture(saved(rasterise(DRAWN[3], 300)), "raw").pixels.shape == (28, 28, 1)


# Limits


def test_a_phone_photo_is_read(classify):
    ink = np.zeros((3000, 4000), np.uint8)
    ink[500:2500, 1000:3000] = rasterise(DRAWN[5], 2000)
    picture = on_paper(ink, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.fromarray(picture).transpose(Image.Transpose.ROTATE_90), "JPEG", quality=80, exif=exif)
    result = from_picture(data)
    assert max(result.steps[0].picture.shape) <= WORK_SIDE
    assert classify(result.pixels) == 5


def test_size_limits():
    check_size(10_000, MAX_PIXELS // 10_000)
    check_size(MIN_SIDE, MIN_SIDE)
    check_size(MAX_SIDE, MIN_SIDE)
    for size in (
        (10_000, MAX_PIXELS // 10_000 + 1),
        (MIN_SIDE, MAX_SIDE + 1),
        (MIN_SIDE - 1, 500),
        (1, 1),
        (1, 20_000),
    ):
        with pytest.raises(InputError):
            check_size(*size)


@pytest.mark.parametrize(("kind", "options", "most", "words"), [
    ("JPEG", {}, MAX_PIXELS, "50 megapixels"), ("JPEG", {"progressive": True}, MAX_WHOLE, "25 megapixels"),
    ("PNG", {"compress_level": 1}, MAX_WHOLE, "25 megapixels"),
])  # fmt: skip
def test_the_largest_picture_is_read_and_a_larger_one_is_not(kind, options, most, words, classify):
    for height, fits in ((most // 10_000, True), (most // 10_000 + 1, False)):
        ink = np.full((height, 10_000), 255, np.uint8)
        side = height - 500
        ink[250 : 250 + side, 3000 : 3000 + side] -= cv2.resize(rasterise(DRAWN[7]), (side, side))
        data = saved(Image.fromarray(ink), kind, **options)
        if fits:
            assert classify(from_picture(data).pixels) == 7
        else:
            refuses(data, words, "smaller")


def test_byte_limit():
    small = saved(rasterise(DRAWN[7]), "BMP")
    assert from_picture(small + bytes(MAX_BYTES - len(small))).pixels.any()
    refuses(small + bytes(MAX_BYTES - len(small) + 1), "10 MB", "smaller")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "JPEG"])
def test_a_bomb_is_refused_by_its_header(kind):
    side = 30_000
    small = bytearray(saved(rasterise(DRAWN[7]), kind))
    if kind == "PNG":  # a right header with a right check sum, over few bytes
        import zlib

        small[16:24] = side.to_bytes(4, "big") * 2
        small[29:33] = zlib.crc32(small[12:29]).to_bytes(4, "big")
    elif kind == "BMP":
        small[18:26] = side.to_bytes(4, "little") * 2
    elif kind == "GIF":
        small[6:10] = side.to_bytes(2, "little") * 2
    else:
        at = small.index(b"\xff\xc0") + 5
        small[at : at + 4] = side.to_bytes(2, "big") * 2
    for how in ("photo", "sketch", "raw"):
        refuses(bytes(small), "megapixels", "smaller", how=how)


# Bad files

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L9 9"/></svg>'


@pytest.mark.parametrize("how", ["photo", "sketch", "raw"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ("empty", "choose")),
        (b"Dear teacher,\nthis is text.\n" * 20, ("no picture", "choose")),
        (bytes(range(256)) * 40, ("no picture", "choose")),
        (SVG, ("SVG", "save it as PNG")),
        (b'<?xml version="1.0"?>\n' + SVG, ("SVG", "save it as PNG")),
        (b"%PDF-1.7\n%...", ("PDF", "save it as PNG")),
        (b"\0\0\0\x18ftypheic" + bytes(50), ("HEIC", "save it as PNG")),
        (saved(np.zeros((1, 1), np.uint8)), ("1 × 1", "8")),
        (saved(np.zeros((20_000, 1), np.uint8)), ("1 × 20,000", "8")),
        (saved(np.full((300, 300, 3), 255, np.uint8)), ()),
        (saved(np.zeros((300, 300), np.uint8)), ()),
        (saved(np.full((28, 28), 120, np.uint8)), ()),
        (saved(np.zeros((300, 300, 4), np.uint8)), ()),
    ],
    ids=["empty", "text", "bytes", "svg", "xml", "pdf", "heic", "1x1", "1x20000", "white", "black", "small", "clear"],
)
# fmt: skip
def test_bad_files_get_a_sentence(data, words, how):
    refuses(data, *words, how=how)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_a_truncated_file_never_escapes(kind):
    whole = saved(on_paper(rasterise(DRAWN[8]), 1), kind)
    refuses(whole[: len(whole) // 2])
    for end in np.linspace(1, len(whole) - 1, 60).astype(int):
        for how in ("photo", "sketch", "raw"):
            with contextlib.suppress(InputError):  # a picture that lacks its last bytes may still be read
                from_picture(whole[:end], how)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_flipped_bytes_never_escape(kind):
    random = np.random.default_rng(0)
    whole = saved(rasterise(DRAWN[8]), kind)
    for _ in range(150):
        data = bytearray(whole)
        for at in random.integers(0, min(len(data), random.choice([60, 10**6])), random.integers(1, 6)):
            data[at] = random.integers(256)
        with contextlib.suppress(InputError):
            from_picture(bytes(data))


@pytest.mark.parametrize("side", [28, 100, 500, 1500])
def test_noise_and_empty_paper_hold_no_digit(side):
    random = np.random.default_rng(side)
    for channels in ((), (3,)):
        refuses(saved(random.integers(0, 256, (side, side, *channels)).astype(np.uint8)))
    nothing = np.zeros((side, side), np.uint8)
    refuses(saved(on_paper(nothing, side, noise=8), "JPEG", quality=80), "ink")
    refuses(saved(on_paper(nothing, side, shade=0.7, ruled=True), "JPEG", quality=80))


def test_noise_is_no_sketch():
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    refuses(saved(noise), "background", how="sketch")


def test_an_extremely_long_picture():
    for shape in ((8, 20_000), (20_000, 8)):
        for how in ("photo", "sketch"):
            refuses(saved(np.full(shape, 255, np.uint8)), how=how)


def test_an_unknown_way_is_a_programmers_error():
    with pytest.raises(ValueError, match="photo, sketch, raw"):
        from_picture(saved(ImageOps.invert(Image.new("L", (30, 30)))), "scan")


def test_a_picture_for_the_labs_keeps_its_pixels_up_to_the_limit():
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 256, (MAP_SIDE, 90, 3), np.uint8)
    assert np.array_equal(as_map(saved(picture)), picture.astype(np.float32) / 255)
    assert as_map(saved(rng.integers(0, 256, (MAP_SIDE + 1, 90, 3), np.uint8))).shape == (MAP_SIDE, 89, 3)
    assert as_map(saved(rng.integers(0, 256, (20, 2000), np.uint8))).shape[:2] == (1, MAP_SIDE)
    assert as_map(saved(rng.integers(0, 256, (1, 1), np.uint8))).shape == (1, 1, 1)


def test_a_grey_picture_has_one_channel_however_it_was_saved():
    grey = np.random.default_rng(3).integers(0, 256, (30, 40), np.uint8)
    assert as_map(saved(grey)).shape == (30, 40, 1)
    assert np.array_equal(as_map(saved(np.stack([grey] * 3, axis=2))), as_map(saved(grey)))
