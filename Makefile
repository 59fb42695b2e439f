# make demo    install everything that is missing, and run examples/hello-pod.yaml
# make test    install everything that is missing, and run all tests
# make check   linters, types, contracts of the architecture, generated code, and the kernels in both forms
# make build   .venv/ with the command .venv/bin/firkin
# make wire    generate firkin/wire/ from protos/
# make sync    generate firkin/sync/ from the asynchronous interface
# make sessions  record the golden gRPC sessions of a pod's life again
# make docs    build the pages of docs/ into build/docs, without warnings
# make bench   measure, beside peers
# make bench-layers         measure how layers are applied, beside GNU tar, bsdtar, umoci and podman (half an hour)
# make bench-layers-short   a part of it; fails when firkin got slower beside GNU tar
# make bench-pods-short     execs, output and attaching beside podman, crun and a plain socket, in a minute; fails when
#                           something does not work or takes many times as long as its peer
# make bench-vsock          measure the vsock device in a machine, beside one in Python and QEMU's user network
# make bench-boot           measure the boot of machines until their agents answer, beside a bare busybox
# make fuzz    apply random layers for FIRKIN_FUZZ_SECONDS, 1200 unless set; then random guests drive the vsock device
# make asan    golden and random layers, hostile and random guests, with the kernels under the address and the
#              undefined behaviour sanitizers
#
# Everything but the Debian packages stays in this directory: .venv/, .demo/, .cache/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.PHONY: demo test check build wire sync bench bench-layers bench-layers-short bench-pods-short bench-vsock bench-boot fuzz asan clean \
	packages-demo packages-test dev \
	check-style check-types check-kernels check-contracts check-wire check-sync check-kernel-tests
.PHONY: sessions check-sessions docs
export DEBIAN_FRONTEND := noninteractive
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PACKAGES_DEMO := crun e2fsprogs umoci skopeo mmdebstrap busybox-static util-linux mount
PACKAGES_TEST := $(PACKAGES_DEMO) buildah catatonit erofs-utils fish git iproute2 libarchive-tools passwd perl podman procps \
	qemu-system-x86 slirp4netns uidmap zsh zstd

# Packages are installed by root, and tests of loop devices and of other users are run by root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	path=$$(command -v $$name) && $$path -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$path && break; done)

VENV := .venv
BIN := $(VENV)/bin
KERNELS := $(wildcard firkin/_fast/*.pyx firkin/_fast/*.pxd) setup.py
KERNEL_TESTS := $(wildcard tests/unit/fast tests/unit/_fast)
PROTOS := $(wildcard protos/*.proto)

demo: packages-demo $(BIN)/firkin .demo/image/index.json
	$(SUDO) $(BIN)/firkin pod run examples/hello-pod.yaml

.demo/image/index.json: | $(BIN)/firkin
	$(SUDO) $(BIN)/python examples/make_demo_image.py

test: packages-test dev
	$(SUDO) $(BIN)/python -m pytest

check: check-style check-types check-kernels check-contracts check-wire check-sync check-kernel-tests

check-style: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-types: dev
	$(BIN)/mypy

check-kernels: dev
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint firkin/_fast/*.pyx

check-contracts: dev
	$(BIN)/lint-imports

check-wire: dev
	rm -rf build/wire && mkdir -p build/wire
	$(call generate_wire,build/wire)
	diff -r --exclude=__init__.py --exclude=__pycache__ build/wire/firkin/wire firkin/wire

check-sync: dev
	rm -rf build/sync && mkdir -p build/sync
	$(BIN)/python -m generators.sync_facade build/sync
	for module in __init__ handles; do diff build/sync/$$module.py firkin/sync/$$module.py; done

check-kernel-tests: dev
	$(BIN)/python -m pytest -q $(KERNEL_TESTS)
	FIRKIN_PURE_PYTHON=1 $(BIN)/python -m pytest -q $(KERNEL_TESTS)

build: $(BIN)/firkin

wire: dev
	$(call generate_wire,.)

# The plug-ins of protoc are found by PATH. `-I virtual=disk` puts the files where the imports expect them.
generate_wire = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Ifirkin/wire=protos \
	--python_out=$(1) --mypy_out=$(1) --grpc_python_out=$(1) --mypy_grpc_out=$(1) $(PROTOS)

sync: dev
	$(BIN)/python -m generators.sync_facade firkin/sync

docs: dev
	$(BIN)/python -m mkdocs build --strict

sessions: packages-test dev
	$(SUDO) $(BIN)/python -m tests.testkit.record_sessions

check-sessions: packages-test dev
	$(SUDO) $(BIN)/python -m tests.testkit.record_sessions --check

bench: packages-test dev
	$(SUDO) $(BIN)/python -m pytest benchmarks -rs

bench-layers: packages-test dev
	$(SUDO) $(BIN)/python -m benchmarks.layers --json build/layers.json

bench-layers-short: packages-test dev
	$(SUDO) $(BIN)/python -m benchmarks.layers --short

# What hangs is interrupted, so that it is tidied up.
bench-pods-short: packages-test dev
	$(SUDO) timeout --foreground --signal=INT --kill-after=60 900 \
		$(BIN)/python -m pytest -q benchmarks/test_exec.py benchmarks/test_streams.py --short

bench-vsock: packages-test dev
	mkdir -p build
	$(BIN)/python -m benchmarks.vsock --json build/vsock.json

bench-boot: packages-test dev
	mkdir -p build
	$(SUDO) $(BIN)/python -m benchmarks.boot --json build/boot.json

FIRKIN_FUZZ_SECONDS ?= 1200

fuzz: packages-test dev
	mkdir -p build
	$(SUDO) unshare --mount $(BIN)/python -m tests.fuzz --seconds $(FIRKIN_FUZZ_SECONDS) --case build/fuzz-case
	$(BIN)/python -m tests.integration.vsock.fuzz --seconds $$(($(FIRKIN_FUZZ_SECONDS) / 4))

# The kernels are built once more, in a copy, so that the ones in use stay as they are. Python's own allocator would
# hide what is read or written beyond an end.
ASAN := -fsanitize=address,undefined -fno-omit-frame-pointer -g
ASAN_PYTHON = env LD_PRELOAD=$$(gcc -print-file-name=libasan.so):$$(gcc -print-file-name=libubsan.so) \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 PYTHONMALLOC=malloc PYTHONPATH=. $(CURDIR)/$(BIN)/python

FIRKIN_ASAN_SECONDS ?= 120

asan: packages-test dev
	rm -rf build/asan && mkdir -p build/asan
	cp -r firkin tests setup.py pyproject.toml README.md LICENSE build/asan
	find build/asan/firkin -name '*.so' -delete
	cd build/asan && CFLAGS='$(ASAN)' LDFLAGS='$(ASAN)' $(CURDIR)/$(BIN)/python setup.py -q build_ext --inplace -j 2
	cd build/asan && $(SUDO) $(ASAN_PYTHON) -m pytest -q tests/integration/layers/golden \
		tests/integration/layers/test_hostile_layers.py
	cd build/asan && $(SUDO) unshare --mount $(ASAN_PYTHON) -m tests.fuzz --seconds $(FIRKIN_ASAN_SECONDS) --memory-mib 0 \
		--case ../fuzz-case
	cd build/asan && $(ASAN_PYTHON) -m pytest -q tests/integration/vsock
	cd build/asan && $(ASAN_PYTHON) -m tests.integration.vsock.fuzz --seconds $$(($(FIRKIN_ASAN_SECONDS) / 4))

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info

packages-demo: ; @$(call install_packages,$(PACKAGES_DEMO))
packages-test: ; @$(call install_packages,$(PACKAGES_TEST))

# Asks dpkg first: apt runs only when something is missing.
define install_packages
missing=; for package in $(1); do \
	[ "$$(dpkg-query -W -f='$${Status}' $$package 2>/dev/null)" = 'install ok installed' ] || missing+=" $$package"; done; \
if [ -n "$$missing" ]; then \
	echo "installing$$missing"; \
	$(SUDO) apt-get update -qq >/dev/null; \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

# A Python from Debian comes without venv and without the headers that the kernels are compiled against.
$(BIN)/python:
	@python='$(PYTHON)'; \
	if [ -z "$$python" ]; then $(call install_packages,python3 python3-venv python3-dev gcc); python=/usr/bin/python3; fi; \
	version=$$($$python -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
	$$python -c 'import ensurepip' 2>/dev/null || { $(call install_packages,$${version}-venv); }; \
	$$python -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' \
		|| { $(call install_packages,$${version}-dev gcc); }; \
	rm -rf $(VENV); $$python -m venv $(VENV)

$(BIN)/firkin: pyproject.toml $(KERNELS) | $(BIN)/python
	$(BIN)/python -m pip install -q -e .
	touch $@

dev: $(VENV)/.dev
$(VENV)/.dev: $(BIN)/firkin
	$(BIN)/python -m pip install -q -e '.[dev]'
	touch $@
