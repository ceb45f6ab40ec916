"""Writes the reference values of crates/images/tests/reference.rs, made with Pillow.

Usage, from crates/images:
    pip install pillow==13.0.0 numpy simplejpeg==1.9.0
    python tools/reference/make_resize_cases.py

Writes tests/data/resize_cases.json (resized pixels of synthetic images, which the test makes
again by the same formula) and tests/data/decode/ (tiny files of many kinds with the pixels that
Pillow decodes them to, in cases.json). Everything is synthetic.
"""

import base64
import io
import json
import pathlib

import numpy as np
import simplejpeg
from PIL import Image

DATA = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data"


def synthetic(width, height, seed):
    """The formula the test repeats: a ramp with a hash on top, [height, width, 3] u8."""
    y, x, c = np.meshgrid(
        np.arange(height, dtype=np.uint64),
        np.arange(width, dtype=np.uint64),
        np.arange(3, dtype=np.uint64),
        indexing="ij",
    )
    noise = ((x * 73856093) ^ (y * 19349663) ^ (c * 83492791) ^ np.uint64(seed)) % 64
    ramp = (x * 191 // max(width, 1) + y * (c + 1) * 60 // max(height, 1)) % 192
    return (ramp + noise).astype(np.uint8)


def smooth(width, height):
    """A picture that lossy formats keep well."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    planes = [
        60 + 150 * x / max(width - 1, 1),
        40 + 170 * y / max(height - 1, 1),
        128 + 90 * np.sin(0.15 * (x + 2 * y)),
    ]
    return np.stack(planes, axis=-1).round().astype(np.uint8)


def packed(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def resize_cases():
    filters = {
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
        "box": Image.Resampling.BOX,
    }
    cases = []

    def add(mode, width, height, short, size, name):
        source = Image.fromarray(synthetic(width, height, 7))
        if mode == "short-side-crop":
            # torchvision.transforms.functional: resize(int) and center_crop, written out.
            if width <= height:
                resized = (short, int(short * height / width))
            else:
                resized = (int(short * width / height), short)
            image = source.resize(resized, filters[name])
            top = int(round((resized[1] - size[0]) / 2.0))
            left = int(round((resized[0] - size[1]) / 2.0))
            image = image.crop((left, top, left + size[1], top + size[0]))
        else:
            image = source.resize((size[1], size[0]), filters[name])
        cases.append({
            "mode": mode, "width": width, "height": height, "short": short,
            "size": size, "filter": name, "rgb": packed(np.array(image)),
        })

    for width, height, short, size in [
        (100, 75, 18, [16, 16]),
        (75, 100, 18, [16, 16]),
        (101, 67, 19, [16, 16]),
        (200, 31, 12, [11, 9]),
        (16, 16, 18, [16, 16]),
        (7, 5, 20, [16, 16]),
        (1, 1, 9, [8, 8]),
        (333, 20, 20, [16, 16]),
    ]:
        add("short-side-crop", width, height, short, size, "bilinear")
    for name in ["bicubic", "lanczos", "box"]:
        add("short-side-crop", 100, 75, 18, [16, 16], name)
    add("squash", 100, 75, 0, [16, 12], "bilinear")
    add("squash", 9, 30, 0, [16, 12], "bilinear")
    return cases


def decode_cases(folder):
    folder.mkdir(parents=True, exist_ok=True)
    picture = smooth(37, 29)
    image = Image.fromarray(picture)
    cases = []

    def add(name, data, kind):
        (folder / name).write_bytes(data)
        opened = Image.open(io.BytesIO(data))
        if kind == "oriented":
            from PIL import ImageOps
            opened = ImageOps.exif_transpose(opened)
        if kind == "sixteen":
            # Pillow clips 16-bit grey to 255; the high byte is what the picture shows.
            pixels = np.repeat((np.array(opened).astype(np.uint32) >> 8)[..., None], 3, axis=2).astype(np.uint8)
        else:
            pixels = np.array(opened.convert("RGB"))
        cases.append({
            "file": name, "width": pixels.shape[1], "height": pixels.shape[0],
            "lossy": name.endswith((".jpg", "lossy.webp")), "rgb": packed(pixels),
        })

    def save(source, form, **options):
        buffer = io.BytesIO()
        source.save(buffer, form, **options)
        return buffer.getvalue()

    for sampling in ["444", "422", "420", "440", "411"]:
        data = simplejpeg.encode_jpeg(picture, quality=90, colorsubsampling=sampling)
        add(f"sampling-{sampling}.jpg", data, "plain")
    add("progressive.jpg", save(image, "JPEG", quality=90, progressive=True), "plain")
    add("progressive-444.jpg", save(image, "JPEG", quality=90, progressive=True, subsampling=0), "plain")
    add("restart.jpg", save(image, "JPEG", quality=90, restart_marker_blocks=1), "plain")
    add("grey.jpg", save(image.convert("L"), "JPEG", quality=90), "plain")
    add("cmyk.jpg", save(image.convert("CMYK"), "JPEG", quality=90), "plain")
    add("rgb-not-ycc.jpg", save(image, "JPEG", quality=90, keep_rgb=True), "plain")
    one = Image.new("RGB", (1, 1), (200, 100, 50))
    add("one-pixel.jpg", save(one, "JPEG", quality=95), "plain")
    exif = Image.Exif()
    exif[0x0112] = 6
    add("orientation-6.jpg", save(image, "JPEG", quality=90, subsampling=0, exif=exif), "oriented")
    stray = save(image, "JPEG", quality=90)
    first_table = stray.index(b"\xff\xdb")
    add("stray-bytes.jpg", stray[:first_table] + b"\0\1\2\3\4\5\6\7" + stray[first_table:], "plain")
    add("trailing-bytes.jpg", stray + b"\0" * 50 + stray[:99], "plain")

    add("rgb.png", save(image, "PNG"), "plain")
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(picture[..., 0]))
    add("alpha.png", save(alpha, "PNG"), "plain")
    add("palette.png", save(image.quantize(16), "PNG"), "plain")
    add("palette-2-colours.png", save(image.quantize(2), "PNG", bits=1), "plain")
    add("palette-transparent.png", save(image.quantize(16), "PNG", transparency=3), "plain")
    add("grey.png", save(image.convert("L"), "PNG"), "plain")
    add("grey-alpha.png", save(alpha.convert("LA"), "PNG"), "plain")
    add("bilevel.png", save(image.convert("1"), "PNG"), "plain")
    deep = Image.fromarray(picture[..., 0].astype(np.uint16) * 250 + 77)
    add("grey-16.png", save(deep, "PNG"), "sixteen")
    add("lossless.webp", save(image, "WEBP", lossless=True), "plain")
    add("lossy.webp", save(image, "WEBP", quality=90), "plain")
    add("alpha-lossless.webp", save(alpha, "WEBP", lossless=True, exact=True), "plain")
    add("rgb.bmp", save(image, "BMP"), "plain")
    add("palette.bmp", save(image.quantize(16), "BMP"), "plain")
    palette = image.quantize(16)
    add("still.gif", save(palette, "GIF"), "plain")
    add("animated.gif", save(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]), "plain")
    return cases


def main():
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / "resize_cases.json").write_text(json.dumps(resize_cases(), indent=0) + "\n")
    decode = DATA / "decode"
    (decode / "cases.json").parent.mkdir(parents=True, exist_ok=True)
    (decode / "cases.json").write_text(json.dumps(decode_cases(decode), indent=0) + "\n")


main()
