# The short front of the Meson build. `make` leaves the release binary at build/maas.
.PHONY: all demo check asan tsan aarch64 lint fuzz bench conformance install docs clean packages
PREFIX ?= /usr/local

all: build/build.ninja
	@ninja -C build maas
build/build.ninja: | packages
	@meson setup build --prefix=$(PREFIX) >/dev/null
packages:
	@tools/packages.sh build
demo:
	@tools/demo.sh
check:
	@tools/check.sh build-check -Dfaults=true
asan:
	@CHECK_UNIT_ONLY=1 tools/check.sh build-asan -Dfaults=true -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized
tsan:
	@CHECK_UNIT_ONLY=1 CHECK_ROOMS="base http registry sched jobs serve api" tools/check.sh build-tsan -Db_sanitize=thread -Donednn=false -Db_lundef=false -Dbuildtype=debugoptimized
aarch64:
	@tools/aarch64.sh
lint:
	@tools/lint.sh
fuzz:
	@tools/fuzz.sh $(or $(SECS),60) $(T)
bench: all
	@tools/bench.sh
conformance: all
	@tools/conformance.sh
install: all
	@ninja -C build >/dev/null && meson install -C build --no-rebuild
docs: all
	@build/maas docs docs
clean:
	@rm -rf build build-*
