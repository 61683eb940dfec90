"""Remote write 1.0 in plain Python: labels and samples to a compressed request body.

The wire format is `prometheus.WriteRequest` (protobuf) in snappy's block format; the block holds
literals only, which every decoder takes.
"""

import struct
import urllib.request


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint((n << 1 ^ n >> 63) & (1 << 64) - 1)


def field(number, payload):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number_field(number, encoded):
    return varint(number << 3) + encoded


def double_field(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def spans(number, pairs):
    return b"".join(
        field(number, number_field(1, zigzag(offset)) + number_field(2, varint(length)))
        for offset, length in pairs
    )


class Histogram:
    """A native histogram: bucket counts by index, integer counts unless `is_float`.

    `schema` -53 has custom bounds; `hint` is 0 unknown, 1 reset, 2 not reset, 3 gauge.
    """

    def __init__(self, schema, positive, negative=None, zero=0, zero_threshold=0.0, total=0.0,
                 bounds=(), is_float=False, hint=0):
        self.schema, self.positive, self.negative = schema, positive, negative or {}
        self.zero, self.zero_threshold, self.total = zero, zero_threshold, total
        self.bounds, self.is_float, self.hint = bounds, is_float, hint

    def encode(self, timestamp):
        count = self.zero + sum(self.positive.values()) + sum(self.negative.values())
        out = b""
        if self.is_float:
            out += double_field(2, count)
        else:
            out += number_field(1, varint(int(count)))
        out += double_field(3, self.total) + number_field(4, zigzag(self.schema))
        out += double_field(5, self.zero_threshold)
        if self.is_float:
            out += double_field(7, self.zero)
        else:
            out += number_field(6, varint(int(self.zero)))
        out += self._side(self.negative, 8) + self._side(self.positive, 11)
        out += number_field(14, varint(self.hint)) + number_field(15, varint(timestamp))
        if self.bounds:
            out += field(16, struct.pack(f"<{len(self.bounds)}d", *self.bounds))
        return out

    def _side(self, buckets, number):
        """Spans, then deltas (integers) or counts (floats)."""
        pairs, values, last = [], [], None
        for index in sorted(buckets):
            if last is not None and index == last + 1:
                pairs[-1][1] += 1
            else:
                pairs.append([index if last is None else index - last - 1, 1])
            values.append(buckets[index])
            last = index
        out = spans(number, pairs)
        if not values:
            return out
        if self.is_float:
            return out + field(number + 2, struct.pack(f"<{len(values)}d", *values))
        deltas = [int(b - a) for a, b in zip([0] + values, values)]
        return out + field(number + 1, b"".join(zigzag(d) for d in deltas))


def encode_series(labels, timestamp, value):
    """One series with one sample, a float or a Histogram."""
    out = b"".join(
        field(1, field(1, name.encode()) + field(2, text.encode()))
        for name, text in sorted(labels.items())
    )
    if isinstance(value, Histogram):
        out += field(4, value.encode(timestamp))
    else:
        bits = value if isinstance(value, bytes) else struct.pack("<d", value)
        out += field(2, varint(1 << 3 | 1) + bits + number_field(2, varint(timestamp)))
    return field(1, out)


def snappy_literals(data):
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


def send(url, series):
    """Sends encoded series in one request; raises on any answer but 2xx."""
    request = urllib.request.Request(
        url + "/api/v1/write",
        data=snappy_literals(b"".join(series)),
        headers={
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
