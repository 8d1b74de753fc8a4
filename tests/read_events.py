"""Reads TensorBoard's event files as their format is described, with nothing but `struct`.

usage: read_events.py FOLDER

Prints {tag: [[step, value], ...]}. Checks every checksum; drops what a later session says it redoes.
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""
import json
import struct
import sys
from pathlib import Path

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        (length, crc) = struct.unpack_from("<QI", data, at)
        assert masked_crc32c(data[at : at + 8]) == crc, f"checksum of a length at {at}"
        content = data[at + 12 : at + 12 + length]
        (crc,) = struct.unpack_from("<I", data, at + 12 + length)
        assert masked_crc32c(content) == crc, f"checksum of a record at {at}"
        yield content
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def fields(message):
    """Field numbers with their values: numbers, or bytes of fields that have a length."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(message, at)
        elif kind == 2:
            length, at = varint(message, at)
            value, at = message[at : at + length], at + length
        else:
            form, size = {1: ("<d", 8), 5: ("<f", 4)}[kind]
            (value,) = struct.unpack_from(form, message, at)
            at += size
        yield number, value


curves = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    assert ".tfevents." in path.name, path
    for index, record in enumerate(records(path.read_bytes())):
        event = dict(fields(record))
        step = event.get(2, 0)
        if index == 0:
            assert event[3] == b"brain.Event:2", event
        # Event.session_log.status == START: steps from here on come again.
        if 7 in event and dict(fields(event[7])).get(1) == 1:
            curves = {tag: [p for p in points if p[0] < step] for tag, points in curves.items()}
        for number, value in fields(event.get(5, b"")):
            assert number == 1, number
            value = dict(fields(value))
            if 2 in value:
                point = value[2]
            else:
                point = dict(fields(value[8]))[8].decode()
            curves.setdefault(value[1].decode(), []).append([step, point])
print(json.dumps(curves))
