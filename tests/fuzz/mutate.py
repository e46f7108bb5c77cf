# SPDX-License-Identifier: Apache-2.0
"""Changes files the way their formats are built, so that most of what is changed is read, not refused at the first byte.

Each mutator takes the bytes of a sound file and a random.Random, and returns other bytes. The same seed gives the same bytes.
"""
import io
import json
import re
import struct
import zipfile

NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**53, 2**63 - 1, 2**64 - 1)
WORDS = ("", "x", "fc1.weight", "\x1b[2J", "..", "../x", "/", "a" * 5000, "ai.onnx", "F32", "I8", "\u202e", "nan")


def mutate_bytes(data, random):
    """A few bytes flipped, inserted, removed or repeated, or the end cut off."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        at, count = random.randrange(len(changed) + 1), random.choice((1, 1, 4, 64))
        kind = random.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[at:at] = random.randbytes(count)
        elif kind == 2:
            del changed[at:at + count]
        elif kind == 3:
            changed[at:at] = changed[at:at + count]
        elif kind == 4 and random.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def read_varint(data, at):
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("varint")


def varint(value):
    out = bytearray()
    value &= 2**64 - 1
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields_of(data):
    """The fields of a protobuf message, as (tag, wire type, value); raises ValueError where it is none."""
    fields, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        tag, wire = key >> 3, key & 7
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at:at + size], at + size
        else:
            raise ValueError("wire type")
        if tag == 0 or at > len(data):
            raise ValueError("field")
        fields.append((tag, wire, value))
    return fields


def message_of(fields):
    out = bytearray()
    for tag, wire, value in fields:
        out += varint(tag << 3 | wire)
        out += varint(value) if wire == 0 else varint(len(value)) + value if wire == 2 else value
    return bytes(out)


def mutate_value(wire, value, random):
    if wire == 0:
        return random.choice(NUMBERS) if random.random() < 0.6 else value + random.choice((-1, 1))
    if wire != 2:
        return random.randbytes(len(value))
    if random.random() < 0.5:
        return random.choice(WORDS).encode()
    return mutate_bytes(value, random) if value else random.randbytes(3)


def mutate_protobuf(data, random, depth=0):
    """One field, at some depth, is removed, repeated, moved, or given another value. Messages are gone into more often than
    plain fields are changed."""
    fields = fields_of(data)
    if not fields:
        return varint(random.randrange(1, 20) << 3) + varint(random.choice(NUMBERS))
    at = random.randrange(len(fields))
    if depth == 0 and random.random() < 0.8:  # the graph, most of the time
        at = max(range(len(fields)), key=lambda i: len(fields[i][2]) if fields[i][1] == 2 else 0)
    tag, wire, value = fields[at]
    if wire == 2 and len(value) > 1 and depth < 6 and random.random() < 0.85:
        try:
            fields[at] = (tag, wire, mutate_protobuf(value, random, depth + 1))
            return message_of(fields)
        except ValueError:
            pass
    kind = random.randrange(6)
    if kind == 0:
        del fields[at]
    elif kind == 1:
        fields.insert(random.randrange(len(fields) + 1), fields[at])
    elif kind == 2:
        other = random.randrange(len(fields))
        fields[at], fields[other] = fields[other], fields[at]
    elif kind == 3:
        fields[at] = (random.randrange(1, 30), wire, value)
    else:
        fields[at] = (tag, wire, mutate_value(wire, value, random))
    return message_of(fields)


def mutate_json(value, random):
    """The value with one part changed, at some depth."""
    if isinstance(value, (dict, list)) and value and random.random() < 0.85:
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        kind = random.randrange(8)
        if kind == 0:
            del value[key]
        elif kind == 1 and isinstance(value, dict):
            value[random.choice(WORDS)] = value[key]
        elif kind == 1:
            value.insert(key, value[key])
        else:
            value[key] = mutate_json(value[key], random)
        return value
    if isinstance(value, str) and value.startswith(("{", "[")) and random.random() < 0.8:
        return json.dumps(mutate_json(json.loads(value), random))  # JSON in JSON: ptq_layers
    return random.choice((*NUMBERS, *WORDS, -1, 1.5, None, True, [], {}, [[[]]], {"dtype": "F32"}))


def mutate_safetensors(data, random):
    """The header as JSON, its length, or the bytes."""
    kind = random.randrange(10)
    size, = struct.unpack_from("<Q", data)
    if kind == 0:
        return struct.pack("<Q", random.choice((size + 1, size - 1, *NUMBERS))) + data[8:]
    if kind == 1:
        return mutate_bytes(data, random)
    header = json.dumps(mutate_json(json.loads(data[8:8 + size]), random), ensure_ascii=False).encode("utf-8", "replace")
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[8 + size:]


def mutate_npy(data, random):
    """A number, a word or a sign of the header, or the bytes."""
    if random.random() < 0.3:
        return mutate_bytes(data, random)
    size, = struct.unpack_from("<H", data, 8)
    header = data[10:10 + size].decode("latin-1")
    parts = list(re.finditer(r"\d+|'[^']*'|True|False|[(){},]", header))
    part = random.choice(parts)
    text = str(random.choice((*NUMBERS, "'<f8'", "'|b1'", "'>f4'", "'<c16'", "'|O'", "True", "(", ")", "", "(1, 2, 3)")))
    header = (header[:part.start()] + text + header[part.end():]).encode("latin-1")
    return data[:8] + struct.pack("<H", len(header)) + header + data[10 + size:]


def mutate_npz(data, random):
    """One of its arrays, the name of one, or the bytes of the archive."""
    if random.random() < 0.4:
        return mutate_bytes(data, random)
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as target:
        names = source.namelist()
        chosen = random.choice(names)
        for name in names:
            content = source.read(name)
            if name == chosen and random.random() < 0.8:
                content = mutate_npy(content, random)
            elif name == chosen:
                name = random.choice((*WORDS, names[0])) + ".npy"
            target.writestr(zipfile.ZipInfo(name), content)
    return held.getvalue()


def mutate_yaml(data, random):
    """A line or a word of it is removed, repeated, moved or replaced."""
    lines = data.decode().split("\n")
    at = random.randrange(len(lines))
    kind = random.randrange(6)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(random.randrange(len(lines) + 1), lines[at])
    elif kind == 2:
        lines[at] = " " * random.randrange(9) + lines[at].lstrip()
    else:
        words = re.split(r"(\W+)", lines[at])
        place = random.randrange(len(words))
        words[place] = random.choice((*map(str, NUMBERS), *WORDS, "null", "[", "{", "&a", "*a", "!!int", "<<: *a", "---", "\t", "'"))
        lines[at] = "".join(words)
    return "\n".join(lines).encode("utf-8", "replace")


MUTATORS = {"onnx": mutate_protobuf, "safetensors": mutate_safetensors, "ptqcal": mutate_safetensors, "npy": mutate_npy,
            "npz": mutate_npz, "yaml": mutate_yaml}
