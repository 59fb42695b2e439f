"""Messages of any type, of the right shape and with unlikely values, by their descriptors."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_INTEGERS = (0, 0, 1, 1, 2, 3, 7, 9, 15, 64, 80, 1000, 65535, 65536, 0o755, 0o7777, 1 << 20)
_EXTREMES = (-1, -2, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**64 - 1)
_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_DEPTH = 4
_MUCH = 3000


class RandomMessages:
    """Makes messages; the same seed makes the same ones."""

    def __init__(self, seed: int, texts: Sequence[str], texts_by_field: Mapping[str, Sequence[str]]) -> None:
        """Take strings from `texts`, or mostly from those that `texts_by_field` has for a field's name."""
        self.random = random.Random(seed)
        self._texts = texts
        self._texts_by_field = texts_by_field
        self.documents: Sequence[bytes] = ()

    def message(self, kind: Descriptor, depth: int = 0) -> Message:
        """A message whose fields are set, or not, by chance."""
        made = GetMessageClass(kind)()
        for field in kind.fields:
            if self.random.random() < 0.75:
                self._fill(made, field, depth)
        return made

    def damaged(self, data: bytes) -> bytes:
        """The bytes of a message with something wrong."""
        pieces = bytearray(data)
        for _ in range(self.random.randrange(1, 5)):
            where = self.random.randrange(len(pieces) + 1)
            if pieces and self.random.random() < 0.5:
                pieces[where % len(pieces)] = self.random.randrange(256)
            else:
                pieces[where:where] = self.random.randbytes(self.random.randrange(1, 12))
        return bytes(pieces)

    def _fill(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if field.message_type is not None and depth >= _DEPTH:
            return
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            for _ in range(self.random.randrange(4)):
                getattr(message, field.name)[self._scalar(key)] = self._scalar(value)
        elif field.is_repeated:
            for _ in range(self.random.randrange(4)):
                if field.message_type is not None:
                    getattr(message, field.name).add().CopyFrom(self.message(field.message_type, depth + 1))
                else:
                    getattr(message, field.name).append(self._scalar(field))
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(self.message(field.message_type, depth + 1))
        else:
            setattr(message, field.name, self._scalar(field))

    def _scalar(self, field: FieldDescriptor) -> object:
        if field.type == FieldDescriptor.TYPE_STRING:
            return self.text(field.name)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._bytes()
        if field.type == FieldDescriptor.TYPE_BOOL:
            return self.random.random() < 0.5
        if field.enum_type is not None:
            return self.random.choice([*(value.number for value in field.enum_type.values), 99])
        if field.type in _RANGES:
            lowest, highest = _RANGES[field.type]
            chosen = self.random.choice(_INTEGERS if self.random.random() < 0.7 else _EXTREMES)
            return min(max(chosen, lowest), highest)
        return self.random.random()

    def text(self, field: str) -> str:
        """A string for a field of this name."""
        if field in self._texts_by_field and self.random.random() < 0.8:
            return self.random.choice(self._texts_by_field[field])
        if self.random.random() < 0.8:
            return self.random.choice(self._texts)
        characters = chr(self.random.choice((self.random.randrange(128), self.random.randrange(0x20, 0xD800))))
        return characters * self.random.choice((1, 2, 100, _MUCH))

    def _bytes(self) -> bytes:
        if self.documents and self.random.random() < 0.6:
            document = self.random.choice(self.documents)
            return document if self.random.random() < 0.7 else self.damaged(document)
        return self.random.randbytes(self.random.choice((0, 1, 16, 16, 500)))
