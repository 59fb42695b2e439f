"""Services of Debian packages in manifests as people write them (`services/`), and what each is asked."""

from __future__ import annotations

from pathlib import Path

import msgspec

_HERE = Path(__file__).parent / "services"


NO_SIDECARS = "cannot create an init container that has either of lifecycle, livenessProbe"
"""What podman 4.3.1 says of init containers with probes, and so of sidecars."""


class Service(msgspec.Struct, frozen=True):
    """A manifest, and a question that one of its containers puts to what runs there.

    Attributes:
        container: runs both scripts, by bash.
        awaited: succeeds as soon as the pod may be asked, for engines that ask no probes.
        question: writes the answer.
        needs_ids: whether its processes or files have other ids than root's.
        refused_by_podman: what podman 4.3.1, or who asks there, says in place of the answer; empty where it answers.
    """

    name: str
    container: str
    awaited: str
    question: str
    answer: str
    needs_ids: bool = False
    refused_by_podman: str = ""

    @property
    def manifest(self) -> str:
        """Its text, in which SERVICES and BUSYBOX stand for images."""
        return (_HERE / f"{self.name}.yaml").read_text()


def _port(*numbers: int) -> str:
    return " && ".join(f"(: < /dev/tcp/127.0.0.1/{number})" for number in numbers)


_ALL = (
    Service(
        "nginx",
        "nginx",
        _port(8080),
        "wget -qO- http://127.0.0.1:8080/index.html; id -u",
        "it works\n33\n",
        needs_ids=True,
    ),
    Service(
        "redis",
        "redis",
        _port(6379),
        """
        redis-cli -a $PASSWORD set key value 2>/dev/null
        redis-cli -a $PASSWORD get key 2>/dev/null
        redis-cli get key | grep -o NOAUTH
        """,
        "OK\nvalue\nNOAUTH\n",
        needs_ids=True,
    ),
    Service(
        "lighttpd",
        "lighttpd",
        _port(8080),
        """
        wget -qO- http://127.0.0.1:8080/
        wget -SqO- http://127.0.0.1:8080/old/two 2>&1 | grep -oE 'X-Served-By: .*|this is .*'
        """,
        "one\nthree\ntwo\nX-Served-By: lighttpd\nthis is two\n",
        needs_ids=True,
    ),
    Service(
        "haproxy",
        "haproxy",
        _port(8001, 8002, 8443),
        r"""
        for request in 1 2 3; do
            printf 'GET / HTTP/1.0\r\n\r\n' |
                openssl s_client -quiet -CAfile /tls/certificate.pem -verify_return_error -verify_hostname pod.test \
                    -connect 127.0.0.1:8443 2>/dev/null
        done | tr -d '\r' | sed -n 's/^location: //Ip'
        """,
        "/served-by-first\n/served-by-second\n/served-by-first\n",
    ),
    Service(
        "dnsmasq",
        "asker",
        "getent hosts database.pod.test",
        "getent hosts db.pod.test | cut -d ' ' -f 1; getent hosts nobody.pod.test || echo nobody",
        "10.9.8.7\nnobody\n",
    ),
    Service(
        "python",
        "notes",
        _port(8000),
        """
        post() { wget -qO- --header "Authorization: Bearer $1" --post-data "$2" http://127.0.0.1:8000/; }
        for note in milk bread; do post "$(cat /secrets/token)" $note; done
        post guessed beer || echo refused
        wget -qO- http://127.0.0.1:8000/
        """,
        "kept\nkept\nrefused\nbread\nmilk\n",
    ),
    Service(
        "sqlite",
        "socat",
        _port(5432),
        """
        ask() { echo "$1;" | socat -t 30 - TCP:127.0.0.1:5432; }
        ask 'SELECT name FROM stars WHERE magnitude < 1 ORDER BY magnitude'
        ask 'DELETE FROM stars' | grep -o 'readonly database'
        ask 'SELECT count(*) FROM stars'
        """,
        "Sirius\nCanopus\nVega\nreadonly database\n4\n",
    ),
    Service(
        "socat",
        "ambassador",
        "redis-cli -p 6380 ping | grep PONG",
        "redis-cli -p 6380 set key value; redis-cli -p 6380 get key; redis-cli -p 6380 config get port | tail -n 1",
        "OK\nvalue\n0\n",
    ),
    Service(
        "rsync",
        "rsync",
        _port(8730),
        """
        echo moon > /tmp/a
        RSYNC_PASSWORD=token rsync /tmp/a rsync://backup@127.0.0.1:8730/files/
        cat /files/a
        RSYNC_PASSWORD=guess rsync rsync://backup@127.0.0.1:8730/files/ 2>&1 | grep -o 'auth failed'
        """,
        "moon\nauth failed\n",
        needs_ids=True,
        # There the file is everybody's to read, whatever defaultMode says, and rsync does not trust it.
        refused_by_podman="auth failed on module files",
    ),
    Service(
        "beanstalkd",
        "worker",
        _port(11300),
        r"""
        exec 3<>/dev/tcp/127.0.0.1/11300
        for job in tea toast; do
            printf 'put 0 0 30 %d\r\n%s\r\n' ${#job} $job >&3
            read -r -t 30 word id <&3
            echo $word
        done
        until [ "$(wc -l < /results/all)" = 2 ]; do sleep 0.05; done
        cat /results/all
        """,
        "INSERTED\nINSERTED\ndone: tea\ndone: toast\n",
    ),
    Service(
        "tinyproxy",
        "application",
        _port(8080, 8888),
        """
        wget -qO- http://localhost:8080/
        wget -SqO /dev/null http://localhost:8080/ 2>&1 | grep -c 'Via: .* pod '
        wget -qO- http://127.0.0.1:8080/ || echo refused
        """,
        "through the proxy\n1\nrefused\n",
        refused_by_podman=NO_SIDECARS,
    ),
    Service(
        "mosquitto",
        "mosquitto",
        _port(1883),
        """
        mosquitto_pub -h 127.0.0.1 -u sensor -P hunter2 -q 1 -r -t room/kitchen -m 21.5
        mosquitto_sub -h 127.0.0.1 -u sensor -P hunter2 -t 'room/+' -C 1 -W 30 -v
        mosquitto_sub -h 127.0.0.1 -t '#' -C 1 -W 30 2>&1 | grep -o 'not authorised'
        """,
        "room/kitchen 21.5\nnot authorised\n",
    ),
)

SERVICES = {service.name: service for service in _ALL}
