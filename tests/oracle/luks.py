# SPDX-License-Identifier: Apache-2.0
"""Random LUKS images, version 1, made by qemu-img. The passphrase is x, as in ask.py.

For each image qemu-img measures the speed of key derivation, which takes seconds even with a small iter-time, and sometimes fails
("Unable to get accurate CPU usage"). So a process makes one image without payload per cipher; images are its header with payloads of
their own.
"""

import os
import threading

SECRET = ("--object", "secret,id=key,data=x")

# (cipher, mode, generator of initial vectors, hash of the generator or None)
WAYS = (("aes-128", "cbc", "plain64", None), ("aes-256", "xts", "plain64", None), ("aes-256", "cbc", "essiv", "sha256"),
        ("serpent-256", "xts", "plain64", None), ("cast5-128", "cbc", "plain", None), ("twofish-256", "cbc", "plain64", None))
HASHES = ("sha256", "sha1", "sha512")

headers = {}
lock = threading.Lock()


def header(image, way):
    """The bytes of a new image without payload, and the command that made it."""
    with lock:
        if way not in headers:
            cipher, mode, generator, generator_hash = WAYS[way]
            options = (f"key-secret=key,iter-time=10,cipher-alg={cipher},cipher-mode={mode},ivgen-alg={generator},"
                       f"hash-alg={HASHES[way % len(HASHES)]}")
            if generator_hash:
                options += f",ivgen-hash-alg={generator_hash}"
            for attempt in range(5):
                try:
                    image.run("qemu-img", "create", "-q", "-f", "luks", *SECRET, "-o", options, image.path, 0)
                    break
                except Exception:
                    if attempt == 4:
                        raise
            with open(image.path, "rb") as file:
                headers[way] = file.read(), image.commands[-1]
        data, command = headers[way]
    image.commands[:] = [command]
    return data


def options(path):
    return [*SECRET, "--image-opts", f"driver=luks,key-secret=key,file.filename={path}"]


def make(image, random_size, random_range):
    """A header and a payload of any size, partly written, which sometimes begins later than usual."""
    rng = image.rng
    data = bytearray(header(image, rng.randrange(len(WAYS))))
    offset = int.from_bytes(data[104:108], "big")
    if image.chance(0.2):
        offset += rng.choice((1, 8, 2048, rng.randint(1, 100000)))
        data[104:108] = offset.to_bytes(4, "big")
    image.size = random_size(image, 8 << 30)
    size = image.size - rng.choice((0, 0, 0, 1, 511, rng.randint(1, 511)))
    if image.chance(0.05):
        size = image.size = 0
    with open(image.path, "wb") as file:
        file.write(data)
        file.truncate(offset * 512 + size)
    image.commands.append(f"# payload-offset {offset}, truncate -s {offset * 512 + size}")
    for _ in range(rng.randint(0, 3) if size == image.size and size else 0):
        start, length = random_range(image)
        image.run("qemu-io", *options(image.path), "-c", f"write -P {rng.randint(0, 255)} {start} {length}")
