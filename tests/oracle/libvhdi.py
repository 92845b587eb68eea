#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares differencing VHD and VHDX images with an independent reader, libvhdi (Debian: python3-libvhdi).

    tests/oracle/libvhdi.py --build BUILD [-n CHAINS] [--seed SEED]

Makes random chains of 2 to 4 images with build/make-image, with any bitmaps, and parents that are shorter or longer. A simple model
has the guest bytes. The bytes that build/tests/oracle/read-chain reads, and those at the offsets of its extents, must be those of the
model and of libvhdi. Known deviations of libvhdi (20210425) are expected:

  * VHD: in each byte of a sector bitmap it treats the bits after the first set one as set. Where a run of sectors ends within a byte,
    sectors of the parent are read from the child. By the specification each bit is a sector. Chains whose runs end with a byte are
    read correctly.
  * VHD, blocks of less than 2 MiB: their bitmaps do not fill their sector, and it treats the rest as bits of the next blocks. Such
    chains are compared with the model only.
  * A parent that is shorter than its child: it cannot read beyond the parent's end, where the guest has zeros (as in Hyper-V, for
    disks that were enlarged). Such chains are compared with the model only.
  * VHDX: it reads blocks of the states 1 (undefined), 2 (zero) and 3 (unmapped) from the parent. By MS-VHDX 2.5.1.1 only those of
    state 0 (not present) are.
"""
import argparse
import json
import random
import struct
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pyvhdi  # of the package python3-libvhdi, which is for /usr/bin/python3

SECTOR = 512
KIB, MIB = 1 << 10, 1 << 20
SMALL_BLOCKS = [512, 1 * KIB, 4 * KIB, 8 * KIB, 64 * KIB, 512 * KIB]
LARGE_BLOCKS = [2 * MIB, 4 * MIB]  # those of Hyper-V are 2 MiB


def content(layer, sector):
    """The bytes of a sector in the file of a layer."""
    return struct.pack('<QQ', 0x1000000 * (layer + 1) + sector, ~sector & 0xffffffffffffffff) * (SECTOR // 16)


class Layer:
    """An image of a chain. sectors: present in it; zeros: zeros, whatever the parent has."""

    def __init__(self, depth, size):
        self.depth, self.size = depth, size
        self.sectors, self.zeros = set(), set()
        self.id = None


class Chains:
    def __init__(self, build, directory):
        self.build, self.directory = Path(build), Path(directory)
        self.counts = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def make(self, kind, path, *arguments):
        subprocess.run([self.build / 'make-image', kind, path, *arguments], check=True)

    def read_chain(self, *arguments, status=0):
        found = subprocess.run([self.build / 'tests/oracle/read-chain', *arguments], capture_output=True, check=False)
        if found.returncode != status:
            raise AssertionError(f'read-chain {arguments} ends with {found.returncode}: {found.stderr.decode()}')
        return found


    def check_conversions(self, fmt, paths, right, context):
        """
        The file sizes of conversions must be those that qemu-img writes for the same bytes in a raw file. Clusters must not be smaller
        than the blocks in which it looks for zeros.
        """
        targets = ['qcow2', 'qcow2,cluster_size=4k', 'vdi', 'vhdx,block_size=1M', 'qcow']
        layers = [word for path in paths for word in ('-l', f'{fmt}:{path}')]
        ours = subprocess.run([self.build / 'tests/oracle/convert-size', *layers, 'x', *targets], capture_output=True, check=True)
        raw, out = self.directory / 'right.raw', self.directory / 'right.out'
        raw.write_bytes(right)
        theirs = []
        for target in targets:
            name, _, option = target.partition(',')
            subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', name, *(['-o', option] if option else []), raw, out],
                           check=True)
            theirs.append(out.stat().st_size)
        sizes = [int(line) for line in ours.stdout.split()]
        if sizes != theirs:
            raise AssertionError(f'{context}: conversions to {targets} are {theirs}, ours {sizes}')
        self.count('chains converted to the byte')


def model(layers, size, has=lambda layer: layer.sectors):
    """The guest bytes of layers[0]."""
    guest = bytearray(size)
    had = [has(layer) for layer in layers]
    for sector in range(size // SECTOR):
        for layer, sectors in zip(layers, had):
            if sector * SECTOR >= layer.size or sector in layer.zeros:
                break
            if sector in sectors:
                guest[sector * SECTOR:(sector + 1) * SECTOR] = content(layer.depth, sector)
                break
    return bytes(guest)


def open_with_libvhdi(paths):
    """Opens a chain. Returns its files, the first one first; libvhdi needs the others to stay open."""
    files = []
    for path in paths:
        file = pyvhdi.file()
        file.open(str(path))
        files.append(file)
    for child, parent in zip(files, files[1:]):
        child.set_parent(parent)
    return files


def read_with_libvhdi(paths):
    files = open_with_libvhdi(paths)
    data = files[0].read_buffer_at_offset(files[0].get_media_size(), 0)
    for file in reversed(files):
        file.close()
    return data


def differing(a, b):
    """The first sector that differs, for messages."""
    if len(a) != len(b):
        return f'{len(a)} and {len(b)} bytes'
    for at in range(0, len(a), SECTOR):
        if a[at:at + SECTOR] != b[at:at + SECTOR]:
            return f'sector {at // SECTOR}: {a[at:at + 8].hex()} and {b[at:at + 8].hex()}'
    return 'nowhere'


def check(what, ours, theirs, context):
    if ours != theirs:
        raise AssertionError(f'{context}: {what}: {differing(ours, theirs)}')


def by_extents(chains, arguments, paths, size):
    """The guest bytes, read from the files at the offsets of the extents."""
    guest = bytearray(size)
    files = [path.read_bytes() for path in paths]
    end = 0
    for line in chains.read_chain('-x', *arguments).stdout.splitlines():
        e = json.loads(line)
        if e['start'] != end or e['length'] <= 0:
            raise AssertionError(f'{arguments}: an extent at {e["start"]}, not {end}')
        end += e['length']
        if e['kind'] == 'data':
            guest[e['start']:end] = files[e['depth']][e['offset']:e['offset'] + e['length']]
    if end != size:
        raise AssertionError(f'{arguments}: the extents end at {end}, not {size}')
    return bytes(guest)


def random_runs(rng, count, aligned):
    """Runs (first, count) of sectors within a block of count sectors. aligned: each ends with a byte of the bitmap or with the block."""
    if rng.random() < .2:
        return [(0, count)] if rng.random() < .5 else []
    runs = []
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        first = rng.randrange(count)
        end = min(first + rng.choice([1, 2, 3, 7, 8, 9, 63, 64, 65, count]), count)
        if aligned:
            end = min(-(-end // 8) * 8, count)
        runs.append((first, end - first))
    return runs


# VHD

def fill_vhd(path, layer, block_size):
    """Writes the content of a layer to all sectors of its blocks, also those that are not set in bitmaps."""
    with open(path, 'r+b') as file:
        file.seek(1536)
        entries = struct.unpack(f'>{-(-layer.size // block_size)}I', file.read(-(-layer.size // block_size) * 4))
        bitmap = -(-block_size // SECTOR // 8 // SECTOR) * SECTOR
        for index, entry in enumerate(entries):
            if entry == 0xffffffff:
                continue
            file.seek(entry * SECTOR + bitmap)
            first = index * block_size // SECTOR
            file.write(b''.join(content(layer.depth, first + i) for i in range(block_size // SECTOR)))


def make_vhd_layer(chains, rng, layer, parent, path, aligned, small):
    block_size = rng.choice(SMALL_BLOCKS if small else LARGE_BLOCKS)
    blocks = -(-layer.size // block_size)
    allocated = [b for b in range(blocks) if rng.random() < .6]
    rng.shuffle(allocated)
    arguments = [f'size={layer.size}', f'block_size={block_size}', f'unique_id={layer.id}',
                 f'blocks={",".join(map(str, allocated))}', *(['data=0'] if allocated else [])]
    per_block = block_size // SECTOR
    if parent:
        arguments += ['kind=differencing', f'parent_unique_id={parent.id}', 'dynamic.parent_time_stamp=0',
                      'parent=parent.vhd', r'locator=W2ru:.\parent.vhd', *(['sector_bitmap=0'] if allocated else [])]
    for block in allocated:
        runs = random_runs(rng, per_block, aligned) if parent else [(0, per_block)]
        if parent:
            arguments += [f'sectors={block}:{first}:{count}' for first, count in runs]
        for first, count in runs:
            layer.sectors.update(range(block * per_block + first, block * per_block + first + count))
    chains.make('vhd', path, *arguments)
    fill_vhd(path, layer, block_size)
    layer.block_size, layer.allocated = block_size, allocated


def sectors_for_libvhdi(layer):
    """The present sectors of a layer as libvhdi reads its bitmaps: up to the end of each byte with a set bit."""
    return layer.sectors.union(*(range(sector, sector - sector % 8 + 8) for sector in layer.sectors))


def vhd_chain(chains, rng, number, aligned=True, small=False):
    count = rng.choice([2, 2, 3, 4])
    most = (2 if small else 8) * MIB // SECTOR
    size = rng.randrange(1, most) * SECTOR
    layers, paths = [], [chains.directory / f'{n}.vhd' for n in range(count)]
    if rng.random() < .3:
        size = most // 8 * SECTOR  # most parents are longer
    for depth in range(count):
        layers.append(Layer(depth, size if rng.random() < .7 or not (aligned or small) else rng.randrange(1, most) * SECTOR))
        layers[-1].id = uuid.UUID(int=rng.getrandbits(128))
    for depth in reversed(range(count)):
        parent = layers[depth + 1] if depth + 1 < count else None
        make_vhd_layer(chains, rng, layers[depth], parent, paths[depth], aligned, small)
    context = f'VHD chain {number}, sizes {[layer.size for layer in layers]}, blocks {[layer.block_size for layer in layers]}'
    compare(chains, 'vpc', layers, paths, context, None if aligned else sectors_for_libvhdi, small)


def compare(chains, fmt, layers, paths, context, theirs=None, alone=False):
    """theirs: a function for the present sectors as libvhdi reads them, if it misreads them; alone: without libvhdi."""
    arguments = [word for path in paths for word in (fmt, str(path))]
    size = layers[0].size
    right = model(layers, size)
    ours = chains.read_chain(*arguments).stdout
    check('read-chain and the model', ours, right, context)
    check('the extents and the model', by_extents(chains, arguments, paths, size), right, context)
    chains.check_conversions(fmt, paths, right, context)
    if alone or any(layer.size > parent.size for layer, parent in zip(layers, layers[1:])):
        chains.count(f'{fmt} chains compared with the model only')
        return
    expected = model(layers, size, theirs) if theirs else ours
    read = read_with_libvhdi(paths)
    check('libvhdi and ' + ('its known deviation' if theirs else 'read-chain'), read, expected, context)
    chains.count(f'{fmt} chains that libvhdi ' + ('reads correctly' if read == right else 'misreads as expected'))


def vhd_small_blocks(chains):
    """libvhdi reads sectors of block 1 from the parent, as it takes their bits from the unused rest of the bitmap's sector."""
    base, child = chains.directory / '1.vhd', chains.directory / '0.vhd'
    chains.make('vhd', base, 'size=16K', f'unique_id={uuid.UUID(int=5)}')
    chains.make('vhd', child, 'size=16K', 'block_size=8K', 'kind=differencing', f'parent_unique_id={uuid.UUID(int=5)}',
                'dynamic.parent_time_stamp=0', 'blocks=0,1', 'sector_bitmap=0', 'sectors=0:0:8', 'sectors=1:0:8')
    check('read-chain', chains.read_chain('vpc', child, 'vpc', base).stdout,
          b'A' * 4096 + bytes(4096) + b'B' * 4096 + bytes(4096), 'small blocks')
    check('libvhdi', read_with_libvhdi([child, base]), b'A' * 4096 + bytes(12288), 'small blocks')
    chains.count('bitmaps that do not fill a sector misread by libvhdi')


def vhd_short_parent(chains):
    base, child = chains.directory / '1.vhd', chains.directory / '0.vhd'
    chains.make('vhd', base, 'size=2M', 'blocks=0', f'unique_id={uuid.UUID(int=5)}')
    chains.make('vhd', child, 'size=4M', 'kind=differencing', f'parent_unique_id={uuid.UUID(int=5)}',
                'dynamic.parent_time_stamp=0')
    check('read-chain', chains.read_chain('vpc', child, 'vpc', base).stdout, b'A' * 2 * MIB + bytes(2 * MIB), 'short parent')
    try:
        read_with_libvhdi([child, base])
    except OSError:
        chains.count('parents too short for libvhdi')
        return
    raise AssertionError('libvhdi reads beyond the end of a parent: such chains can be compared')


def vhd_identity(chains):
    """A parent with another identity is refused by both."""
    base, child = chains.directory / '1.vhd', chains.directory / '0.vhd'
    chains.make('vhd', base, 'size=1M', 'blocks=0', f'unique_id={uuid.UUID(int=5)}')
    chains.make('vhd', child, 'size=1M', 'kind=differencing', f'parent_unique_id={uuid.UUID(int=6)}',
                'dynamic.parent_time_stamp=0')
    message = chains.read_chain('vpc', child, 'vpc', base, status=2).stderr.decode()
    if str(uuid.UUID(int=5)) not in message or str(uuid.UUID(int=6)) not in message:
        raise AssertionError(f'the identities are not in the message: {message}')
    try:
        read_with_libvhdi([child, base])
    except OSError as error:
        if 'identifier' not in str(error):
            raise
        chains.count('wrong parents refused by both')
        return
    raise AssertionError('libvhdi accepts a parent of another identity')


# VHDX

def fill_vhdx(path, layer, block_size, sector):
    """As fill_vhd(), by the BAT, which make-image puts at 2 MiB."""
    ratio = (sector << 23) // block_size
    with open(path, 'r+b') as file:
        for block in range(-(-layer.size // block_size)):
            file.seek(2 * MIB + 8 * (block + block // ratio))
            entry = struct.unpack('<Q', file.read(8))[0]
            if entry & 7 < 6:
                continue
            file.seek(entry >> 20 << 20)
            first = block * block_size // SECTOR
            file.write(b''.join(content(layer.depth, first + i) for i in range(block_size // SECTOR)))


def make_vhdx_layer(chains, rng, layer, parent, path, empty_states):
    block_size, sector = rng.choice([MIB, 2 * MIB]), rng.choice([512, 512, 4096])
    per_block, factor = block_size // SECTOR, sector // SECTOR
    arguments = [f'size={layer.size}', f'block_size={block_size}', f'sector={sector}', f'data_write_guid={layer.id}']
    if parent:
        arguments += ['kind=differencing', f'locator=parent_linkage:{{{parent.id}}}', 'locator=relative_path:parent.vhdx',
                      'bitmap=0:6']
    for block in range(-(-layer.size // block_size)):
        state = rng.choice([0, 6, 7, 7] + empty_states if parent else [0, 6, 6])
        arguments.append(f'block={block}:{state}')
        sectors = range(block * per_block, (block + 1) * per_block)
        if state == 6:
            layer.sectors.update(sectors)
        elif state == 7:
            for first, count in random_runs(rng, per_block // factor, False):
                arguments.append(f'sectors={block}:{first}:{count}')
                layer.sectors.update(sectors[first * factor:(first + count) * factor])
        elif state:
            layer.zeros.update(sectors)
    chains.make('vhdx', path, *arguments)
    fill_vhdx(path, layer, block_size, sector)


def vhdx_chain(chains, rng, number, empty_states):
    count = rng.choice([2, 3])
    layers, paths = [], [chains.directory / f'{n}.vhdx' for n in range(count)]
    for depth in range(count):
        layers.append(Layer(depth, rng.choice([6] if empty_states else [4, 5, 6]) * MIB))
        layers[-1].id = uuid.UUID(int=rng.getrandbits(128))
    for depth in reversed(range(count)):
        parent = layers[depth + 1] if depth + 1 < count else None
        make_vhdx_layer(chains, rng, layers[depth], parent, paths[depth], empty_states)
    context = f'VHDX chain {number}, sizes {[layer.size for layer in layers]}'
    if not any(layer.zeros for layer in layers):
        compare(chains, 'vhdx', layers, paths, context)
        return
    ours = chains.read_chain(*[word for path in paths for word in ('vhdx', str(path))]).stdout
    check('read-chain and the model', ours, model(layers, layers[0].size), context)
    chains.check_conversions('vhdx', paths, ours, context)
    for layer in layers:
        layer.zeros = set()
    check('libvhdi and its known deviation', read_with_libvhdi(paths), model(layers, layers[0].size), context)
    chains.count('vhdx chains whose states libvhdi misreads')


def vhdx_chunks(chains):
    """Partially present blocks on both sides of the end of a chunk, 4 GiB of guest bytes, with a bitmap each."""
    base, child = chains.directory / '1.vhdx', chains.directory / '0.vhdx'
    guid = uuid.UUID(int=7)
    chains.make('vhdx', base, 'size=4100M', f'data_write_guid={guid}', 'data=4095,4096,4097')
    chains.make('vhdx', child, 'size=4100M', 'kind=differencing', f'locator=parent_linkage:{{{guid}}}',
                'locator=relative_path:parent.vhdx', 'block=4095:7', 'block=4096:7', 'block=4097:6', 'bitmap=0:6', 'bitmap=1:6',
                'sectors=4095:2040:8', 'sectors=4095:0:3', 'sectors=4096:1:5')
    layers = [Layer(0, 4100 * MIB), Layer(1, 4100 * MIB)]
    fill_vhdx(base, layers[1], MIB, 512)
    fill_vhdx(child, layers[0], MIB, 512)
    own = {4095 * 2048 + n for n in [0, 1, 2, *range(2040, 2048)]} | {4096 * 2048 + n for n in range(1, 6)}
    layers[0].sectors = own | set(range(4097 * 2048, 4098 * 2048))
    layers[1].sectors = set(range(4095 * 2048, 4098 * 2048))
    extents = [json.loads(line) for line in chains.read_chain('-x', 'vhdx', child, 'vhdx', base).stdout.splitlines()]
    files = [child, base]
    theirs = open_with_libvhdi(files)
    for e in extents:
        for at in (e['start'], e['start'] + e['length'] - SECTOR):
            sector = at // SECTOR
            depth = 0 if sector in layers[0].sectors else 1 if sector in layers[1].sectors else None
            right = bytes(SECTOR) if depth is None else content(depth, sector)
            if (e['depth'] if e['kind'] == 'data' else None) != depth:
                raise AssertionError(f'chunks: sector {sector} is in layer {depth}, not as {e}')
            if depth is not None:
                with open(files[depth], 'rb') as file:
                    file.seek(e['offset'] + at - e['start'])
                    check(f'sector {sector} at its offset', file.read(SECTOR), right, 'chunks')
            check(f'sector {sector} of libvhdi', theirs[0].read_buffer_at_offset(SECTOR, at), right, 'chunks')
            chains.count('sectors at ends of extents around a chunk')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('-n', type=int, default=4, help='chains of each kind')
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        chains = Chains(options.build, directory)
        vhd_identity(chains)
        vhd_small_blocks(chains)
        vhd_short_parent(chains)
        vhdx_chunks(chains)
        for number in range(options.n):
            for kind, make in enumerate([lambda rng, n: vhd_chain(chains, rng, n),
                                         lambda rng, n: vhd_chain(chains, rng, n, aligned=False),
                                         lambda rng, n: vhd_chain(chains, rng, n, aligned=False, small=True),
                                         lambda rng, n: vhdx_chain(chains, rng, n, []),
                                         lambda rng, n: vhdx_chain(chains, rng, n, [1, 2, 3])]):
                make(random.Random(f'{options.seed} {kind} {number}'), number)
    print('; '.join(f'{count} {what}' for what, count in sorted(chains.counts.items())))
    # Every kind of comparison was made.
    return 0 if len(chains.counts) == 11 else 1


if __name__ == '__main__':
    sys.exit(main())
