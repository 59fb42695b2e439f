"""A virtio-vsock device over vhost-user: virtio 1.2, section 5.10. The guest uses its kernel's own driver.

The host's side is a directory of unix sockets. Who connects to `guest-<port>.sock` reaches what listens on the
guest's port; when the guest connects to port N of the host (cid 2), the device connects to `host-N.sock`. A host
program may hand a regular file to its stream, by sending it with one byte (SCM_RIGHTS): the guest gets, in place of
that byte, the file from its current position to its end.

One thread serves one device, without the interpreter's lock. The guest is not trusted, nor is what it makes of the
front end: whatever they do wrong ends their own device, for a reason that is told.
"""

import collections
import os
import socket
import threading

cimport cython
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from .device_end cimport IS_CLOSED, NO_PROBLEM, RUNNING, describe_end, ended, host_failed
from .vhost_user cimport (
    FrontEnd, RECEIVE_RING, TRANSMIT_RING, free_front_end, make_front_end, take_messages,
)
from .file_readers cimport close_readers, wait_for_readers
from .vsock_connections cimport RETRY_MILLISECONDS, accept_again, accept_from_host, connect_again
from .vsock_host cimport drop_all_streams, on_files_read, on_stream_event
from .vsock_receive cimport serve_receive
from .vsock_relay cimport (
    CONNECTION_EVENT, EventKind, FILES_EVENT, FRONT_END_EVENT, LISTENERS_MAX, LISTENER_EVENT, PATH_BYTES,
    REFUSALS_FOR_PACKETS, Refusal, Relay, STREAM_EVENT, WAKE_EVENT, event_key,
)
from .vsock_streams cimport free_table, make_table
from .vsock_syscalls cimport (
    EPOLLET, EPOLLIN, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, SHUT_RD, SOCK_CLOEXEC, SOCK_NONBLOCK, accept4,
    close_file, epoll_create1, epoll_ctl, epoll_event, epoll_wait, shutdown,
)
from .vsock_transmit cimport serve_transmit

from .device_end import CLOSED, FRONT_END_BROKEN, FRONT_END_GONE, GUEST_BROKEN, HOST_FAILED, DeviceEnd

__all__ = [
    "CLOSED",
    "FRONT_END_BROKEN",
    "FRONT_END_GONE",
    "GUEST_BROKEN",
    "HOST_FAILED",
    "DeviceEnd",
    "VsockDevice",
    "VsockStatistics",
]

cdef enum:
    EVENTS_A_TURN = 64
    FIRST_GUEST_CID = 3     # virtio 1.2, section 5.10.4: the ones below are reserved
    LONGEST_NAME = 22       # of a socket: "/guest-4294967295.sock"
    BACKLOG = 128
    READERS_MILLISECONDS = 250  # that a device which is closed waits for a file's disk

VsockStatistics = collections.namedtuple(
    "VsockStatistics",
    [
        "open_streams",
        "streams_opened",
        "streams_refused",
        "packets_to_guest",
        "packets_from_guest",
        "bytes_to_guest",
        "bytes_from_guest",
        "bytes_held",
        "reads_awaited",
        "wakeups",
        "interrupts",
    ],
)


@cython.final
cdef class VsockDevice:
    """A device for one guest: `start` it, then start the VMM, whose vhost-user socket is `socket_path`.

    It ends when the VMM goes, when the guest or the VMM breaks the rules, or by `close`, which must be called in any
    case; a device serves one VMM. `stream_limit` bounds its streams and `window_bytes` what is held for each of them
    when the host does not read, so their product bounds its memory.
    """

    cdef Relay *_relay
    cdef FrontEnd *_front_end
    cdef object _socket_path
    cdef object _directory
    cdef object _front_end_listener
    cdef list _listeners
    cdef object _thread
    cdef int _directory_fd
    cdef int _wake
    cdef int _ended
    cdef bint _is_closed
    cdef bint _has_ended

    def __cinit__(self):
        self._directory_fd = self._wake = self._ended = -1
        self._relay = <Relay *>calloc(1, sizeof(Relay))
        self._front_end = <FrontEnd *>calloc(1, sizeof(FrontEnd))
        if self._relay == NULL or self._front_end == NULL:
            raise MemoryError
        self._relay.epoll = -1
        make_front_end(self._front_end, &self._relay.end, -1, 0)

    def __init__(
        self,
        socket_path,
        uint64_t guest_cid,
        directory,
        *,
        int stream_limit=512,
        uint32_t window_bytes=262144,
    ):
        cdef Relay *relay = self._relay
        if self._directory is not None:
            raise RuntimeError("it is made already")
        if not FIRST_GUEST_CID <= guest_cid < 0xffffffff:
            raise ValueError(f"guest cid {guest_cid} is reserved")
        if not 1 <= stream_limit <= 65536 or not 4096 <= window_bytes <= 0x40000000:
            raise ValueError("a device has 1 to 65,536 streams, and windows of 4 KiB to 1 GiB")
        self._socket_path = os.fspath(socket_path)
        self._directory = os.fspath(directory)
        self._listeners = []
        self._directory_fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        relay.guest_cid = guest_cid
        relay.window = window_bytes
        relay.refusal_limit = REFUSALS_FOR_PACKETS + stream_limit
        relay.refusals = <Refusal *>calloc(relay.refusal_limit, sizeof(Refusal))
        if relay.refusals == NULL or make_table(&relay.table, stream_limit, _secret()) < 0:
            raise MemoryError
        relay.epoll = epoll_create1(EPOLL_CLOEXEC)
        if relay.epoll < 0:
            raise OSError(errno, os.strerror(errno))
        make_front_end(self._front_end, &relay.end, relay.epoll, guest_cid)
        relay.memory = &self._front_end.memory
        relay.receive = &self._front_end.rings[<int>RECEIVE_RING]
        relay.transmit = &self._front_end.rings[<int>TRANSMIT_RING]
        self._set_host_path()
        self._watch(self._wake, WAKE_EVENT, 0, EPOLLIN)
        self._watch(relay.table.readers.event, FILES_EVENT, 0, EPOLLIN)

    def __dealloc__(self):
        # The thread holds a reference, so it has ended.
        if self._relay != NULL and self._front_end != NULL:
            self._release()
        free(self._relay)
        free(self._front_end)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def listen(self, uint32_t guest_port):
        """Make `guest-<port>.sock`, through which the host reaches the guest's port; at any time.

        Raises:
            OSError: the socket cannot be made, or there are too many of them.
        """
        cdef int index = self._relay.listener_count
        self._expect_running()
        if index == LISTENERS_MAX:
            raise OSError(f"a device listens on no more than {LISTENERS_MAX} ports")
        name = f"guest-{guest_port}.sock"
        listener = _listening(self._path_of(name))
        self._listeners.append((name, listener))
        self._relay.listeners[index].socket = listener.fileno()
        self._relay.listeners[index].guest_port = guest_port
        self._relay.listener_count = index + 1
        self._watch(self._relay.listeners[index].socket, LISTENER_EVENT, index, EPOLLIN | EPOLLET)

    def start(self):
        """Listen for the VMM on `socket_path`, and serve it in a thread of its own.

        Raises:
            OSError: the socket cannot be made.
        """
        cdef int file
        self._expect_running()
        if self._thread is not None:
            raise RuntimeError("it was started already")
        self._front_end_listener = _listening(self._socket_path)
        file = self._front_end_listener.fileno()
        self._watch(file, FRONT_END_EVENT, 0, EPOLLIN)
        self._thread = threading.Thread(target=self._serve, name=f"vsock-{self._relay.guest_cid}", daemon=True)
        self._thread.start()

    def wait(self, timeout_seconds=None):
        """Wait until the device has ended, and tell why; None when the time is up first."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)
        return self.end

    def close(self):
        """End the device, and release all that it holds: streams, sockets, the guest's memory. Twice is fine."""
        if self._is_closed or self._directory is None:
            return
        self._is_closed = True
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join()
        ended(&self._relay.end, IS_CLOSED, NO_PROBLEM, 0)
        self._stop_listening()
        self._has_ended = True
        with nogil:
            self._release_streams()
            if self._relay.table.readers != NULL:
                wait_for_readers(self._relay.table.readers, READERS_MILLISECONDS)
        self._release()

    def fileno(self):
        """A file that is readable once the device has ended; for an event loop, until `close`."""
        self._expect_open()
        return self._ended

    def statistics(self):
        """What the device has done so far."""
        cdef Relay *relay = self._relay
        return VsockStatistics(
            relay.table.open_count,
            relay.counters.streams_opened,
            relay.counters.streams_refused,
            relay.counters.packets_to_guest,
            relay.counters.packets_from_guest,
            relay.counters.bytes_to_guest,
            relay.counters.bytes_from_guest,
            relay.counters.bytes_held,
            relay.counters.reads_awaited,
            relay.counters.wakeups,
            relay.receive.interrupts + relay.transmit.interrupts if relay.receive != NULL else 0,
        )

    @property
    def end(self):
        """Why the device has ended; None while it has not."""
        return describe_end(&self._relay.end) if self._has_ended else None

    @property
    def thread_id(self):
        """The kernel's number of the device's thread; None before `start`."""
        return None if self._thread is None else self._thread.native_id

    cdef int _expect_open(self) except -1:
        if self._is_closed:
            raise ValueError("the device is closed")
        return 0

    cdef int _expect_running(self) except -1:
        self._expect_open()
        if self._relay.end.kind != RUNNING:
            raise ValueError(f"the device has ended: {describe_end(&self._relay.end).reason}")
        return 0

    cdef int _stop_listening(self) except -1:
        # Who connects from now on is refused at once, and does not wait for an answer that never comes.
        # What took their place since is not ours to remove.
        while self._listeners:
            name, listener = self._listeners.pop()
            listener.close()
            _unlink(self._path_of(name))
        if self._front_end_listener is not None:
            listener, self._front_end_listener = self._front_end_listener, None
            listener.close()
            _unlink(self._socket_path)
        return 0

    cdef _path_of(self, name):
        # A path that is too long for a socket's address goes through the open directory.
        path = os.path.join(self._directory, name)
        return path if len(os.fsencode(path)) < PATH_BYTES else f"/proc/self/fd/{self._directory_fd}/{name}"

    cdef int _set_host_path(self) except -1:
        cdef bytes path = os.fsencode(self._directory)
        if len(path) + LONGEST_NAME >= PATH_BYTES:
            path = b"/proc/self/fd/%d" % self._directory_fd
        memcpy(self._relay.host_path, <const char *>path, len(path))
        self._relay.host_path_size = len(path)
        return 0

    cdef int _watch(self, int file, EventKind kind, int index, uint32_t events) except -1:
        cdef epoll_event event
        event.events = events
        event.data.u64 = event_key(kind, 0, index)
        if epoll_ctl(self._relay.epoll, EPOLL_CTL_ADD, file, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        return 0

    def _serve(self):
        cdef int listener = self._front_end_listener.fileno()
        with nogil:
            while self._turn(listener) == 0:
                pass
            self._disconnect()
        self._stop_listening()
        self._has_ended = True
        os.eventfd_write(self._ended, 1)

    cdef int _turn(self, int listener) noexcept nogil:
        cdef Relay *relay = self._relay
        if self._wait(listener) < 0:
            return -1
        relay.is_busy = False
        if self._front_end.has_restarted:
            self._front_end.has_restarted = False
            drop_all_streams(relay)
        connect_again(relay)
        if serve_transmit(relay) < 0 or serve_receive(relay) < 0:
            return -1
        accept_again(relay)
        return 0

    cdef int _wait(self, int listener) noexcept nogil:
        cdef epoll_event[EVENTS_A_TURN] events
        cdef Relay *relay = self._relay
        cdef int timeout = -1
        cdef int count
        cdef int index
        if relay.is_busy:
            timeout = 0
        elif relay.asking_host:
            timeout = RETRY_MILLISECONDS
        count = epoll_wait(relay.epoll, events, EVENTS_A_TURN, timeout)
        if count < 0 and errno != EINTR:
            return host_failed(&relay.end)
        relay.counters.wakeups += 1
        for index in range(count):
            if self._dispatch(listener, events[index].data.u64, events[index].events) < 0:
                return -1
        return 0

    cdef int _dispatch(self, int listener, uint64_t key, uint32_t events) noexcept nogil:
        cdef int kind = <int>(key >> 56)
        cdef uint32_t generation = <uint32_t>(key >> 32) & 0xffffff
        cdef int index = <int><uint32_t>key
        if kind == STREAM_EVENT:
            on_stream_event(self._relay, index, generation, events)
        elif kind == LISTENER_EVENT:
            accept_from_host(self._relay, index)
        elif kind == FILES_EVENT:
            on_files_read(self._relay)
        elif kind == CONNECTION_EVENT:
            return take_messages(self._front_end)
        elif kind == FRONT_END_EVENT:
            return self._connect(listener)
        elif kind == WAKE_EVENT:
            return ended(&self._relay.end, IS_CLOSED, NO_PROBLEM, 0)
        # A kick has no other meaning than that it is time for a turn.
        return 0

    cdef int _connect(self, int listener) noexcept nogil:
        # The VMM is here, and another one is refused.
        cdef epoll_event event
        cdef int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
        if connection < 0:
            return 0
        self._front_end.connection = connection
        shutdown(listener, SHUT_RD)
        event.events = EPOLLIN
        event.data.u64 = event_key(CONNECTION_EVENT, 0, 0)
        if epoll_ctl(self._relay.epoll, EPOLL_CTL_DEL, listener, NULL) < 0:
            return host_failed(&self._relay.end)
        if epoll_ctl(self._relay.epoll, EPOLL_CTL_ADD, connection, &event) < 0:
            return host_failed(&self._relay.end)
        return 0

    cdef void _disconnect(self) noexcept nogil:
        self._release_streams()
        free_front_end(self._front_end)

    cdef void _release_streams(self) noexcept nogil:
        if self._relay.table.streams != NULL and self._relay.table.readers != NULL:
            drop_all_streams(self._relay)
            close_readers(self._relay.table.readers)

    cdef void _release(self) noexcept nogil:
        self._release_streams()
        free_table(&self._relay.table)
        free_front_end(self._front_end)
        free(self._relay.refusals)
        self._relay.refusals = NULL
        close_file(&self._relay.epoll)
        close_file(&self._directory_fd)
        close_file(&self._wake)
        close_file(&self._ended)


cdef uint64_t _secret() except? 1:
    return <uint64_t>int.from_bytes(os.urandom(8), "little")


def _listening(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _unlink(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
