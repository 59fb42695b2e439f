"""Values of the ports as messages, and back."""

from __future__ import annotations

import msgspec

from firkin.domain.copying import CopyCount, CopyReport
from firkin.domain.errors import InvalidArgument
from firkin.domain.ids import ContainerId
from firkin.domain.json_decoding import decoded_json
from firkin.domain.output_log import LogEntry
from firkin.domain.process import ExitReason, ExitStatus
from firkin.domain.statistics import ContainerStatistics
from firkin.domain.supervised_pod import PodRecord
from firkin.domain.terminal import TerminalSize
from firkin.ports.pod_control import CopyRequest, ExecRequest, OutputPiece
from firkin.wire import supervisor_pb2 as wire

_STREAMS = {"stdout": wire.STREAM_STDOUT, "stderr": wire.STREAM_STDERR}
_STREAM_NAMES = {wire.STREAM_STDOUT: "stdout", wire.STREAM_STDERR: "stderr"}


def pod_end(record: PodRecord) -> wire.PodEnd:
    """How a pod ended."""
    return wire.PodEnd(record=record.to_json())


def record_of(message: wire.PodEnd) -> PodRecord:
    """The other way."""
    record = PodRecord.from_json(message.record)
    if record is None:
        raise _unreadable("a record")
    return record


def _unreadable(what: str) -> InvalidArgument:
    return InvalidArgument(f"the supervisor told {what} that cannot be read: is it of another version of firkin?")


def log_entry(entry: LogEntry) -> wire.LogEntry:
    """Output of a container."""
    return wire.LogEntry(
        stream=_STREAMS[entry.stream],
        data=entry.data,
        unix_seconds=entry.unix_seconds,
        lost_bytes=entry.lost_bytes,
    )


def log_entry_of(message: wire.LogEntry) -> LogEntry:
    """The other way."""
    stream = _STREAM_NAMES.get(message.stream, "stdout")
    return LogEntry(stream, message.data, message.unix_seconds, message.lost_bytes)


def terminal_size(size: TerminalSize) -> wire.TerminalSize:
    """The size of a terminal."""
    return wire.TerminalSize(columns=size.columns, rows=size.rows)


def terminal_size_of(message: wire.TerminalSize) -> TerminalSize:
    """The other way."""
    return TerminalSize(message.columns, message.rows)


def process_start(request: ExecRequest) -> wire.ProcessStart:
    """A process to be run."""
    return wire.ProcessStart(
        container_id=request.container_id,
        args=request.args,
        environment=[wire.Variable(name=name, value=value) for name, value in request.environment],
        working_dir=request.working_dir,
        user=request.user,
        has_stdin=request.has_stdin,
        terminal=None if request.terminal is None else terminal_size(request.terminal),
    )


def exec_request_of(message: wire.ProcessStart) -> ExecRequest:
    """The other way."""
    return ExecRequest(
        ContainerId(message.container_id),
        tuple(message.args),
        tuple((one.name, one.value) for one in message.environment),
        message.working_dir if message.HasField("working_dir") else None,
        message.user if message.HasField("user") else None,
        message.has_stdin,
        terminal_size_of(message.terminal) if message.HasField("terminal") else None,
    )


def process_output(piece: OutputPiece) -> wire.ProcessOutput:
    """What a process wrote."""
    if piece.stream == "stdout":
        return wire.ProcessOutput(stdout=piece.data)
    return wire.ProcessOutput(stderr=piece.data)


def process_exit(status: ExitStatus) -> wire.ProcessOutput:
    """How a process ended."""
    return wire.ProcessOutput(exit=wire.ProcessExit(code=status.code, signal=status.signal, reason=status.reason))


def exit_status_of(message: wire.ProcessExit) -> ExitStatus:
    """The other way."""
    reason = ExitReason(message.reason) if message.reason in list(ExitReason) else ExitReason.EXITED
    return ExitStatus(message.code, message.signal if message.HasField("signal") else None, reason)


def copy_request(request: CopyRequest) -> wire.CopyRequest:
    """A copy to be made."""
    return wire.CopyRequest(**{name: getattr(request, name) for name in request.__struct_fields__})


def copy_request_of(message: wire.CopyRequest) -> CopyRequest:
    """The other way."""
    return CopyRequest(ContainerId(message.container_id), message.host_path, message.guest_path, message.keep_ownership)


def copy_response(report: CopyReport) -> wire.CopyResponse:
    """What a copy did."""
    return wire.CopyResponse(
        path=report.path,
        entries=report.count.entries,
        content_bytes=report.count.content_bytes,
        left_out=report.left_out,
    )


def copy_report_of(message: wire.CopyResponse) -> CopyReport:
    """The other way."""
    return CopyReport(message.path, CopyCount(message.entries, message.content_bytes), tuple(message.left_out))


def statistics_response(containers: tuple[ContainerStatistics, ...]) -> wire.StatisticsResponse:
    """What containers use."""
    return wire.StatisticsResponse(containers=msgspec.json.encode(containers, enc_hook=str))


def statistics_of(message: wire.StatisticsResponse) -> tuple[ContainerStatistics, ...]:
    """The other way."""
    try:
        return decoded_json(message.containers, tuple[ContainerStatistics, ...])
    except msgspec.DecodeError as error:
        raise _unreadable("statistics") from error
