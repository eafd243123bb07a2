"""Bad uploads, made anew from a seed; run as a program, it reads them one after the other and says what each cost.

The program is fed through its standard input: the number of bytes (4, little-endian), how many threads read them at
once (1), then the bytes. Each is read in every way that the app has, decoded by the first of them that can; by several
threads in one way. For each upload it answers with a line of JSON: the seconds of the slowest way, by the CPU and by
the clock, the most memory that the process has ever had, and what came of it.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from cnnviz.inputs import InputError, pictures
from cnnviz.inputs.pictures import MAX_READS, MAX_SCANNED, as_map, for_network
from cnnviz.memory import tidy

SEED = 5
KINDS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
SIDE = 5_000  # 25 megapixels: the largest that is decoded whole
MOST = 9_900_000  # bytes, just under the limit
LIES = ((0, 0), (1, 1), (64, 65), (65, 64), (7, 64), (20_000, 1), (16_000, 3_000), (5_000, 5_001), (65_535, 65_535),
        (2**31 - 1, 1), (2**31 - 1, 2**31 - 1), (-1, 64), (64, -64))  # fmt: skip


def digit(side: int = 64) -> Image.Image:
    """A 7 of sorts."""
    ink = np.full((side, side), 255, np.uint8)
    ink[side // 5 : side // 4, side // 4 : 3 * side // 4] = 0
    ink[side // 5 : 4 * side // 5, 2 * side // 3 : 3 * side // 4] = 0
    return Image.fromarray(ink)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, depth: int, colour: int, content: bytes, *more: bytes, interlaced: int = 0) -> bytes:
    """A PNG of packed pixels, with more chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", content)
            + chunk(b"IEND", b""))  # fmt: skip


def rle_bmp(width: int, height: int, content: bytes, bits: int = 8) -> bytes:
    """A BMP whose pixels are packed in runs."""
    at = 54 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 1 if bits == 8 else 2, len(content), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", at + len(content), 0, 0, at) + header + bytes(1024) + content


def segment(marker: bytes, content: bytes) -> bytes:
    """Of a JPEG."""
    return b"\xff" + marker + struct.pack(">H", 2 + len(content)) + content


def one_by_one(width: int, height: int, channels: int) -> bytes:
    """A JPEG that is not progressive and still has to be held whole: a channel's scan comes after the other's."""
    white = saved(Image.new("L", (width, height), 255), "JPEG")
    head, scan = white.index(b"\xff\xc0"), white.index(b"\xff\xda")
    tables = white[head + 2 + int.from_bytes(white[head + 2 : head + 4], "big") : scan]
    numbers = range(1, channels + 1)
    size = struct.pack(">BHHB", 8, height, width, channels) + b"".join(bytes([n, 0x11, 0]) for n in numbers)
    scans = (segment(b"\xda", bytes([1, n, 0, 0, 63, 0])) + white[scan + 10 : -2] for n in numbers)
    return white[:head] + segment(b"\xc0", size) + tables + b"".join(scans) + white[-2:]


def exif(tags: int, each: int) -> bytes:
    """Notes of which every one claims the same many bytes."""
    entries = b"".join(struct.pack(">HHII", tag, 7, each, 14 + 12 * tags) for tag in range(1, tags + 1))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", tags) + entries + bytes(4 + each)


def with_size(file: bytes, kind: str, width: int, height: int) -> bytes:
    """The same file with another size in its header; a right check sum, where there is one."""
    data = bytearray(file)
    match kind:
        case "PNG":
            data[16:24] = struct.pack(">II", width, height)
            data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        case "BMP":
            data[18:26] = struct.pack("<ii", width, height)
        case "GIF":
            data[6:10] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
        case "JPEG":
            at = data.index(b"\xff\xc0") + 5
            data[at : at + 4] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
        case "WEBP":
            at = 26 if data[12:16] == b"VP8 " else 21
            data[at : at + 4] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    return bytes(data)


def header_length(kind: str, file: bytes) -> int:
    """Where the pixels begin."""
    match kind:
        case "PNG":
            return file.index(b"IDAT") + 4
        case "JPEG":
            at = file.index(b"\xff\xda") + 2
            return at + int.from_bytes(file[at : at + 2], "big")
        case "WEBP":
            return 30  # of VP8: a frame's tag, start code and size
        case "BMP":
            return int.from_bytes(file[10:14], "little")
        case "GIF":
            return file.index(b",", 13 + 3 * (2 << (file[10] & 7))) + 11


def cut_and_flipped() -> Iterator[tuple[str, bytes]]:
    """Headers cut at every length, bodies at some; bytes flipped; sizes that lie."""
    rng = np.random.default_rng(SEED)
    for kind in KINDS:
        whole = saved(digit().convert("RGB"), kind)
        header = header_length(kind, whole)
        for end in [*range(header), *np.linspace(header, len(whole) - 1, 20).astype(int)]:
            yield f"{kind} cut at {end}", whole[:end]
        for number in range(60):
            data = bytearray(whole)
            for at in rng.integers(0, min(len(data), (60, 10**6)[number % 2]), rng.integers(1, 6)):
                data[at] = rng.integers(256)
            yield f"{kind} flipped {number}", bytes(data)
        for width, height in LIES:
            if kind in ("BMP", "PNG") or min(width, height) >= 0:
                size = (width & 0xFFFFFFFF, height & 0xFFFFFFFF) if kind == "PNG" else (width, height)
                yield f"{kind} that says {width}x{height}", with_size(whole, kind, *size)


def strange() -> Iterator[tuple[str, bytes]]:
    """Files that are something else, and pictures of every odd kind."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><path d="M0 0L9 9"/></svg>'
    texts = {"nothing": b"", "a zero": b"\0", "SVG": svg, "SVG with a head": b'<?xml version="1.0"?>' + svg,
             "a billion laughs": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "' + b"&b;" * 1_000 + b'">]><svg/>',
             "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj",
             "HTML": b"<html><script>alert(1)</script>", "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run\n",
             "ZIP": b"PK\3\4" + bytes(40), "TIFF": saved(digit(), "TIFF"), "ICO": saved(digit(), "ICO"),
             "HEIC": b"\0\0\0\x18ftypheic" + bytes(50), "pickle": b"cposix\nsystem\n(S'touch x'\ntR.",
             "text": b"Dear teacher,\n" * 50, "names": b"\x89PNG\r\n\x1a\n../../etc/passwd\0\x1b[31m"}  # fmt: skip
    yield from texts.items()
    for kind in KINDS:
        whole = saved(digit().convert("RGB"), kind)
        yield f"{kind} twice", whole * 2
        yield f"{kind} and a page behind it", whole + b"<script>alert(1)</script>"
        yield f"{kind} behind an SVG", svg + whole
        for other in KINDS:
            yield f"{kind}'s head on {other}", whole[:20] + saved(digit(), other)[20:]
    frames = [digit().rotate(10 * number).convert("P") for number in range(5)]
    for kind in ("GIF", "WEBP", "PNG"):
        yield f"animated {kind}", saved(frames[0], kind, save_all=True, append_images=frames[1:])
    for width, height in ((1, 1), (1, 20_000), (20_000, 1), (7, 7), (8, 8), (8, 20_000), (20_000, 8), (65_500, 8)):
        for kind in KINDS if max(width, height) < 16_000 else ("PNG", "JPEG", "BMP", "GIF"):
            yield f"{kind} {width}x{height}", saved(Image.new("L", (width, height), 255), kind)
    grey = digit()
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    modes = {"16 bit": sixteen, "CMYK": grey.convert("CMYK"), "1 bit": grey.convert("1"), "LA": grey.convert("LA"),
             "palette": grey.convert("P"), "RGBA": grey.convert("RGBA")}  # fmt: skip
    for name, image in modes.items():
        for kind in ("PNG", "JPEG") if name in ("CMYK", "1 bit") else ("PNG",):
            if (name, kind) != ("CMYK", "PNG"):
                yield f"{kind} {name}", saved(image, kind)
    yield "palette with transparency", saved(grey.convert("P"), "PNG", transparency=255)
    yield "palette that is all transparent", saved(grey.convert("P"), "PNG", transparency=bytes(256))
    yield "palette of two colours and indices past it", png(
        64, 64, 8, 3, zlib.compress((b"\0" + bytes([200] * 64)) * 64), chunk(b"PLTE", bytes(6)))  # fmt: skip
    yield "no palette at all", png(64, 64, 8, 3, zlib.compress((b"\0" + bytes(64)) * 64))
    for turn in range(10):
        note = Image.Exif()
        note[0x0112] = turn
        yield f"turned as {turn} says", saved(grey, "JPEG", exif=note)


def bombs() -> Iterator[tuple[str, bytes]]:
    """As large, as tightly packed and as finely cut as the limits allow, and beyond."""
    for name, depth, colour, each in (("grey 16", 16, 0, 2), ("RGBA 16", 16, 6, 8)):
        # Filter 4 (Paeth) is the slowest to undo.
        rows = zlib.compress((b"\4" + bytes(SIDE * each)) * SIDE, 1)
        yield f"PNG {name} 25 MP", png(SIDE, SIDE, depth, colour, rows)
        pieces = png(SIDE, SIDE, depth, colour, rows, chunk(b"tEXt", b"k\0v") * (MAX_READS // 3 - 100))
        yield f"PNG {name} 25 MP and as many texts as are read", pieces
        yield f"PNG {name} 25 MP and a row", png(SIDE, SIDE + 1, depth, colour, rows)
    yield (
        "PNG interlaced 25 MP",
        png(SIDE, SIDE, 8, 6, zlib.compress(bytes(SIDE * SIDE * 4 + 2 * SIDE), 1), interlaced=1),
    )
    large = Image.new("RGB", (SIDE, SIDE), "white")
    yield "WebP 25 MP", saved(large.convert("RGBA"), "WEBP", lossless=True, method=0)
    yield "WebP 25 MP and a row", saved(Image.new("RGB", (SIDE, SIDE + 1)), "WEBP", quality=1, method=0)
    yield "GIF 25 MP, transparent", saved(large.convert("P"), "GIF", transparency=0)
    yield "BMP 25 MP, 1 bit", saved(large.convert("1"), "BMP")
    yield "JPEG 50 MP", saved(Image.new("RGB", (10_000, SIDE)), "JPEG", subsampling=0)
    yield "JPEG 50 MP, CMYK", saved(Image.new("CMYK", (10_000, SIDE)), "JPEG")
    scans = saved(large, "JPEG", progressive=True)
    yield "JPEG 25 MP, progressive", scans
    last = scans[scans.rindex(b"\xff\xda") : -2]
    few = saved(Image.new("RGB", (1_000, 1_000), "white"), "JPEG", progressive=True)
    again = MAX_SCANNED // 1_000_000 - few.count(b"\xff\xda")
    yield "JPEG of as many scans as are read", few[:-2] + few[few.rindex(b"\xff\xda") : -2] * again + few[-2:]
    yield "JPEG of 2,000 scans", scans[:-2] + last * 2_000 + scans[-2:]
    two = saved(large, "MPO", save_all=True, append_images=[digit().convert("RGB")])
    at = two.index(b"\xff\xe2")
    note = two[at : at + 2 + int.from_bytes(two[at + 2 : at + 4], "big")]  # "more pictures follow"
    yield "MPO of 2,000 scans", scans[:2] + note + scans[2:-2] + last * 2_000 + scans[-2:]
    two = Image.new("RGB", (10_000, SIDE), "white")
    yield "MPO 50 MP", saved(two, "MPO", save_all=True, append_images=[digit().convert("RGB")])
    yield "JPEG 50 MP, CMYK, a scan a channel", one_by_one(10_000, SIDE, 4)
    yield "JPEG of 65,500 rows", saved(Image.new("L", (381, 65_500)), "JPEG")

    small = saved(digit(), "PNG")
    head, rest = small[:33], small[33:]
    for name, part in (
        ("chunks", chunk(b"abCd", b"x")),
        ("texts", chunk(b"tEXt", b"k\0v")),
        ("empty", chunk(b"IDAT", b"")),
    ):
        yield f"PNG of many {name}", head + part * (MOST // len(part)) + rest
    packed = zlib.compress(bytes(50_000_000), 9)
    for name in (b"zTXt", b"iCCP"):
        yield f"PNG with {name.decode()} of 50 MB", head + chunk(name, b"k\0\0" + packed) + rest
    texts = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9))
    yield "PNG with 200 texts of 1 MB", head + texts * 200 + rest
    yield "PNG with notes", head + chunk(b"eXIf", exif(400, 4_000_000)) + rest
    small = saved(digit(), "JPEG")
    notes = exif(400, 4_000_000)
    parts = [segment(b"\xe1", b"Exif\0\0" + notes[at : at + 60_000]) for at in range(0, len(notes), 60_000)]
    for name, more in (("filling", b"\xff" * MOST), ("comments", b"\xff\xfe\0\2" * (MOST // 4)),
                       ("notes", b"".join(parts)), ("tables", segment(b"\xdb", bytes(65)) * (MOST // 69))):  # fmt: skip
        yield f"JPEG with much {name}", small[:2] + more + small[2:]
    small = saved(digit(), "GIF")
    at = 13 + 3 * (2 << (small[10] & 7))
    for name, more in (("comments", b"!\xfe\1a\0" * (MOST // 5)),
                       ("a comment", b"!\xfe" + b"\1a" * (MOST // 2) + b"\0")):  # fmt: skip
        yield f"GIF with {name}", small[:at] + more + small[at:]
    for name, run in (("runs of 1", b"\1\0"), ("long runs", b"\xff\0"), ("steps", b"\0\2\xff\xff")):
        yield f"BMP of {name}", rle_bmp(SIDE, SIDE, run * (MOST // len(run)))
    yield "BMP of half bytes", rle_bmp(SIDE, SIDE, b"\1\0" * (MOST // 2), 4)
    noise = np.random.default_rng(SEED).integers(0, 256, (1_780, 1_800, 3), np.uint8)
    yield "noise", saved(Image.fromarray(noise), "BMP")
    yield "more than 10 MB", bytes(10_000_001)


def uploads() -> Iterator[tuple[str, bytes]]:
    """All of them: what it is, and the file."""
    yield from cut_and_flipped()
    yield from strange()
    yield from bombs()


def peak(process: int | str = "self") -> float:
    """The most megabytes that this process, on Linux any process, has ever had."""
    if sys.platform == "linux":  # where `ru_maxrss` begins with what the parent had
        status = Path(f"/proc/{process}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Read what comes in."""
    tidy()  # as the server does: one heap, and what is free is given back
    ways = {
        "photo": lambda data: for_network(data, "photo", (28, 28, 1)).pixels,
        "sketch": lambda data: for_network(data, "sketch", (28, 28, 1)).pixels,
        "raw": lambda data: for_network(data, "raw", (28, 28, 1)).pixels,
        "colour": lambda data: for_network(data, "photo", (32, 32, 3)).pixels,
        "map": as_map,
    }
    decode, decoded = pictures.decode, []

    def once(data: bytes, least: int = pictures.MIN_SIDE) -> np.ndarray:
        if not decoded:
            decoded.append(decode(data, least))
        return decoded[0]

    while head := sys.stdin.buffer.read(5):
        data, at_once = sys.stdin.buffer.read(int.from_bytes(head[:4], "little")), head[4]
        told = {"seconds": 0.0, "wall": 0.0, "answers": 0, "said": [], "errors": []}
        decoded.clear()
        pictures.decode = once if at_once == 1 else decode
        for way, read in [*ways.items()][: None if at_once == 1 else 1]:
            began, cpu = time.perf_counter(), time.process_time()
            try:
                with ThreadPoolExecutor(at_once) as pool:
                    pixels = np.concatenate([*pool.map(read, [data] * at_once)])
                told["answers"] += 1
                if not (np.isfinite(pixels).all() and 0 <= pixels.min() <= pixels.max() <= 1):
                    told["errors"].append(f"{way}: pixels past [0, 1]")
            except InputError as error:
                told["said"].append(str(error))
            except BaseException as error:
                told["errors"].append(f"{way}: {error!r}")
            told["seconds"] = max(told["seconds"], time.process_time() - cpu)
            told["wall"] = max(told["wall"], time.perf_counter() - began)
        told["megabytes"] = peak()
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
