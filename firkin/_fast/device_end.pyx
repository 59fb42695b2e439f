"""Why a device ended, as Python is told."""

import collections
import os

CLOSED = "closed"
FRONT_END_GONE = "front end gone"
FRONT_END_BROKEN = "front end broken"
GUEST_BROKEN = "guest broken"
HOST_FAILED = "host failed"

cdef dict _KINDS = {
    <int>IS_CLOSED: CLOSED,
    <int>IS_GONE: FRONT_END_GONE,
    <int>HAS_BROKEN_FRONT_END: FRONT_END_BROKEN,
    <int>HAS_BROKEN_GUEST: GUEST_BROKEN,
    <int>HAS_FAILED: HOST_FAILED,
}
# A name to match by, and a sentence.
cdef dict _PROBLEMS = {
    <int>MESSAGE_MALFORMED: ("message malformed", "the VMM sent a malformed vhost-user message (request {number})"),
    <int>MESSAGE_UNKNOWN: ("message unknown", "the VMM sent vhost-user request {number}, which was not offered"),
    <int>MESSAGE_TOO_EARLY: ("message too early", "the VMM started a ring before it had described it"),
    <int>RING_UNKNOWN: ("ring unknown", "the VMM named ring {number}; a vsock device has two"),
    <int>RING_SIZE_REFUSED: ("ring size refused", "the VMM wants a ring of {number} descriptors"),
    <int>RING_OUTSIDE_MEMORY: (
        "ring outside memory",
        "ring {number} lies outside the guest's memory, or is not aligned",
    ),
    <int>TOO_MANY_REGIONS: ("too many regions", "the VMM shares more than {number} regions of memory"),
    <int>MEMORY_NOT_SEALED: (
        "memory not sealed",
        "the guest's memory at {number:#x} is not sealed against shrinking: it must be a memfd with F_SEAL_SHRINK",
    ),
    <int>MEMORY_TOO_SMALL: ("memory too small", "the guest's memory at {number:#x} is larger than its file"),
    <int>NOT_AN_EVENT: ("not an event", "the VMM sent something other than an eventfd (request {number})"),
    <int>REPLY_NOT_TAKEN: ("reply not taken", "the VMM does not read its replies (request {number})"),
    <int>AVAILABLE_INDEX_JUMPED: (
        "available index jumped",
        "the guest offered more buffers than its ring has (index {number})",
    ),
    <int>DESCRIPTOR_UNKNOWN: ("descriptor unknown", "the guest used descriptor {number}, which its ring does not have"),
    <int>DESCRIPTOR_OUTSIDE_MEMORY: (
        "descriptor outside memory",
        "the guest's descriptor {number} points outside its memory",
    ),
    <int>DESCRIPTOR_WRONG_WAY: ("descriptor wrong way", "the guest's descriptor {number} has the wrong direction"),
    <int>DESCRIPTOR_INDIRECT: (
        "descriptor indirect",
        "the guest's descriptor {number} is indirect, which was not offered",
    ),
    <int>CHAIN_ENDLESS: ("chain endless", "the guest's chain at descriptor {number} never ends"),
    <int>CHAIN_TOO_LONG: ("chain too long", "the guest's chain at descriptor {number} has too many pieces"),
    <int>BUFFER_TOO_SMALL: ("buffer too small", "the guest offered a buffer of {number} bytes, which holds no packet"),
    <int>PACKET_TOO_SHORT: ("packet too short", "the guest's packet does not fit its buffer of {number} bytes"),
}

# Addresses have 64 bits, and no sign.
cdef object _ALL_BITS = 0xffffffffffffffff

DeviceEnd = collections.namedtuple("DeviceEnd", ["kind", "problem", "reason"])


cdef describe_end(const End *end):
    cdef int kind = <int>end.kind
    cdef int problem = <int>end.problem
    if kind == RUNNING:
        return None
    if kind == IS_CLOSED:
        return DeviceEnd(CLOSED, "closed", "it was closed")
    if kind == IS_GONE:
        return DeviceEnd(FRONT_END_GONE, "front end gone", "the VMM closed its connection")
    if problem == NO_PROBLEM:
        return DeviceEnd(_KINDS[kind], "system call failed", os.strerror(end.error))
    name, sentence = _PROBLEMS[problem]
    return DeviceEnd(_KINDS[kind], name, sentence.format(number=end.number & _ALL_BITS))
