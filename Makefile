# Parley: one Makefile for the whole tree (non-recursive; sources are found by wildcard).
#
# Knobs, given on the command line (make V=1 …):
#   B=build            where everything built goes; nothing is written elsewhere
#   SANITIZE=LIST      address,undefined or thread; builds into $(B)-LIST, beside the normal build
#   COVERAGE=1         gcov instrumentation; builds into $(B)-coverage
#   DEVELOPER=1        more warnings
#   V=1                show whole commands
#   CC=gcc             the compiler; CFLAGS and LDFLAGS are added to ours
#   CRASH_POINTS=1     compiles in CRASH_AT=process:step:n and PARLEY_PLANT=defect (builds into $(B)-crash)
#   TEST=NAME          for test, check, unit, integration: only tests whose name contains NAME
#   ONE_BY_ONE=1       for test-containers: one set of servers, one program at a time
#   SEEDS=20000        for sim: how many schedules;  SEED=N: the first seed
#   SECONDS=60         for fuzz: of each target
#   REVISION=…        what parley_build_info says; else the commit
#   prefix=/usr/local  DESTDIR=  for install and uninstall (also bindir, libdir, includedir, datadir, mandir, unitdir …)
# `make help` lists the targets.

B ?= build
CC ?= cc
AR ?= ar
PROTOC ?= protoc
PROTOC_C ?= protoc-c
PYTHON ?= python3
SEEDS ?= 20000
SEED ?= 1
SECONDS ?= 60
prefix ?= /usr/local
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
datadir ?= $(prefix)/share/parley
mandir ?= $(prefix)/share/man
pkgconfigdir ?= $(libdir)/pkgconfig
unitdir ?= $(prefix)/lib/systemd/system
sysusersdir ?= $(prefix)/lib/sysusers.d
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d
completionsdir ?= $(prefix)/share/bash-completion/completions

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:

comma := ,
O := $(B)$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(COVERAGE),-coverage)$(if $(CRASH_POINTS),-crash)$(if $(FUZZ),-fuzz)
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' $(1) '$(2)')

# ---- what must be installed; asked once, at the start, so that the message comes before any compiler error ----
PKGS := rdkafka libpq hiredis jansson cmocka libsodium libmicrohttpd openssl libedit libxxhash libcurl libprotobuf-c
NO_PKGS_GOALS := help deps deps-dev deb test-deb clean distclean format format-check lint test demo bench bench-history-100m faults faults-planted
ifneq ($(filter-out $(NO_PKGS_GOALS),$(or $(MAKECMDGOALS),all)),)
  PKG_FLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null || echo missing)
  HAVE_REST := $(shell command -v $(PROTOC) >/dev/null && command -v $(PROTOC_C) >/dev/null && \
                 echo '\#include <uthash.h>' | $(CC) -E -x c - >/dev/null 2>&1 && echo yes)
  ifneq ($(filter missing,$(PKG_FLAGS))$(if $(HAVE_REST),,missing),)
    $(error some packages that Parley needs are missing here: run `make deps` (as root or with sudo), then `make` again)
  endif
  PKG_CFLAGS := $(patsubst -I%,-isystem %,$(filter-out -D_FILE_OFFSET_BITS=64,$(PKG_FLAGS)))
  PKG_LIBS := $(shell pkg-config --libs $(PKGS))
endif

# ---- flags ----
WARN := $(if $(findstring clang,$(CC)),-Wno-unknown-warning-option) -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat -Wformat-security \
        -Wimplicit-fallthrough -Wundef
ifdef DEVELOPER
  WARN += -Wshadow -Wpointer-arith -Wlogical-op -Wduplicated-cond # not -Wcast-qual: protobuf-c's strings are char *
endif
OPT := -O2 -g
HARDEN := -fstack-protector-strong -fstack-clash-protection
HARDEN_LD := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
ifdef SANITIZE
  OPT := -O1 -g -fno-omit-frame-pointer
  # Instrumented code confuses the warnings that follow values; the normal build has them as errors.
  WARN += -Wno-format-truncation -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds
  SAN := -fsanitize=$(SANITIZE) $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=undefined)
else
  HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
ifdef COVERAGE
  OPT := -O0 -g --coverage
  WARN += -Wno-format-truncation -Wno-maybe-uninitialized
  HARDEN := -fstack-protector-strong
endif
ifdef FUZZ
  SAN += -fsanitize=fuzzer-no-link
endif
DEFS := -D_GNU_SOURCE= -D_FILE_OFFSET_BITS=64 $(if $(CRASH_POINTS),-DPARLEY_CRASH_POINTS=1)
# -fvisibility=hidden makes -fPIC code as good as PIE code, so that one set of objects serves programs and libparley.so.
BASE_CFLAGS := -std=gnu17 $(OPT) -fPIC -fvisibility=hidden -fno-strict-aliasing $(HARDEN) $(SAN) -I. -isystem $(O)/gen $(PKG_CFLAGS) $(DEFS)
OUR_CFLAGS := $(BASE_CFLAGS) $(WARN) -include common/base/banned.h
ALL_LDFLAGS := $(OPT) $(SAN) $(HARDEN_LD) -Wl,--as-needed $(LDFLAGS)
LIBS := $(PKG_LIBS) -lpthread -lm

# ---- sources ----
PROC_NAMES := edge router fanout persister offline query auditor webhooks gateway
PROTOS := $(sort $(wildcard proto/*.proto))
GEN_C := $(PROTOS:%.proto=$(O)/gen/%.pb-c.c)
GEN_H := $(PROTOS:%.proto=$(O)/gen/%.pb-c.h)

srcs = $(sort $(wildcard $(addsuffix /*.c,$(1))))
objs = $(patsubst %.c,$(O)/obj/%.o,$(1))

BASE_SRC := $(call srcs,common/base)
IM_SRC := $(call srcs,common/im)
CLIENT_SRC := $(call srcs,client/lib)
SUPPORT_SRC := $(call srcs,tests/support)
PROC_LIBS := $(foreach p,$(PROC_NAMES) bench,$(if $(filter-out $p/main.c,$(wildcard $p/*.c)),$p))
PROCS := $(foreach p,$(PROC_NAMES),$(if $(wildcard $p/main.c),$p))
TOOLS := $(if $(wildcard client/parley/*.c),parley) $(if $(wildcard client/parleyctl/*.c),parleyctl) \
         $(if $(wildcard bench/*.c),parley-bench)
SIM := $(if $(wildcard tests/sim/*.c),$(O)/bin/parley-sim)
SIM_PROCS := edge router fanout persister offline
SIM_OBJ := $(patsubst %.c,$(O)/sim/%.o,$(wildcard common/im/conv*.c) common/im/deliver.c common/im/codec_check.c \
           fanout/crowd.c fanout/tell_group.c offline/group.c)
UNIT_SRC := $(call srcs,tests/unit)
INTEGRATION_SRC := $(call srcs,tests/integration)
CONTAINER_SRC := $(call srcs,tests/containers)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
C_SRC := $(BASE_SRC) $(IM_SRC) $(CLIENT_SRC) $(SUPPORT_SRC) $(call srcs,$(PROC_NAMES) client/parley client/parleyctl bench tests/sim) \
         $(UNIT_SRC) $(INTEGRATION_SRC) $(CONTAINER_SRC) $(wildcard tests/fuzz/*.c)
C_HDR := $(sort $(wildcard $(addsuffix /*.h,common/base common/im $(PROC_NAMES) client/lib client/parley client/parleyctl \
         bench tests/sim tests/support tests/unit tests/integration tests/containers tests/fuzz)))

UNIT := $(patsubst %.c,$(O)/%,$(filter tests/unit/test_%,$(UNIT_SRC)))
INTEGRATION := $(patsubst %.c,$(O)/%,$(filter tests/integration/test_%,$(INTEGRATION_SRC)))
CONTAINERS := $(CONTAINER_SRC:%.c=$(O)/%)
FUZZERS := $(FUZZ_SRC:%.c=$(O)/%)
PROGRAMS := $(PROCS:%=$(O)/bin/parley-%) $(TOOLS:%=$(O)/bin/%)

BASE_LIB := $(if $(BASE_SRC),$(O)/libbase.a)
IM_LIB := $(if $(IM_SRC)$(PROTOS),$(O)/libim.a)
CLIENT_LIB := $(if $(CLIENT_SRC),$(O)/libparley.a)
SUPPORT_LIB := $(if $(SUPPORT_SRC),$(O)/libsupport.a)
# The terminal client without its main, for its tests.
TERMINAL_SRC := $(filter-out client/parley/main.c,$(call srcs,client/parley))
TERMINAL_LIB := $(if $(TERMINAL_SRC),$(O)/libterminal.a)
PROC_LIB := $(PROC_LIBS:%=$(O)/lib%.a)
CORE_LIBS := $(IM_LIB) $(BASE_LIB)
TEST_LIBS := $(TERMINAL_LIB) $(SUPPORT_LIB) $(PROC_LIB) $(CLIENT_LIB) $(CORE_LIBS)

# ---- targets ----
.PHONY: all help docs deps deps-dev lint proto-lock format format-check tidy test check unit integration sim bench bench-history-100m bench-rebuild-10m demo check-dashboards fuzz fuzz-smoke \
        coverage install clean tests programs
all: programs tests lint ## build everything, warnings as errors, with the layer and proto checks
programs: $(PROGRAMS) $(O)/bin/per_minute $(if $(CLIENT_SRC),$(O)/libparley.a $(O)/libparley.so) $(if $(PROTOS),$(O)/parley.desc)
tests: $(UNIT) $(INTEGRATION) $(CONTAINERS) $(SIM) $(FUZZERS) $(BASE_LIB) $(IM_LIB) $(PROC_LIB)

help: ## this list
	@sed -n 's/^# \?//; 1,/help. lists/p' Makefile; echo
	@awk -F ':.*## ' '/^[a-z0-9_.-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' Makefile

# ---- compiling ----
# Generated headers are system headers to the compiler, which names none of those: all depend on all of them.
$(O)/obj/%.o: %.c $(O)/flags $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(call objs,$(CLIENT_SRC)): OUR_CFLAGS += -fvisibility=default
# For the simulator again: with defects to be switched on, and with few enough recipients named that small groups have more.
$(O)/sim/%.o: %.c $(O)/flags $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (sim))
	$(Q)$(CC) $(OUR_CFLAGS) -DPARLEY_CRASH_POINTS=1 -DCODEC_DETAILED_MAX=2 $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/obj/gen/%.o: $(O)/gen/%.c $(O)/flags $(GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/%.pb-c.c $(O)/gen/%.pb-c.h &: %.proto
	@mkdir -p $(O)/gen/proto
	$(call say,PROTOC,$<)
	$(Q)$(PROTOC_C) -Iproto --c_out=$(O)/gen/proto $(<F)

$(O)/parley.desc: $(PROTOS)
	@mkdir -p $(@D)
	$(call say,DESC,$@)
	$(Q)$(PROTOC) -Iproto --include_imports --descriptor_set_out=$@ $(notdir $(PROTOS))

# Everything is compiled again when the flags change; the file is touched only then.
FLAGS_NOW := $(CC) $(OUR_CFLAGS) $(CFLAGS) $(ALL_LDFLAGS) $(LIBS)
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS_NOW)' | cmp -s - $@ || printf '%s\n' '$(FLAGS_NOW)' > $@
.PHONY: FORCE
FORCE:

# ---- libraries; remade from nothing, so that a source file that went away goes away here too ----
define archive
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
endef
GEN_OBJ := $(PROTOS:%.proto=$(O)/obj/gen/%.pb-c.o)
$(O)/libbase.a: $(call objs,$(BASE_SRC)); $(archive)
$(O)/libim.a: $(call objs,$(IM_SRC)) $(GEN_OBJ); $(archive)
$(O)/libsupport.a: $(call objs,$(SUPPORT_SRC)); $(archive)
$(O)/libterminal.a: $(call objs,$(TERMINAL_SRC)); $(archive)
# The static library stands alone: it holds what it uses of common/.
$(O)/libparley.a: $(call objs,$(CLIENT_SRC) $(IM_SRC) $(BASE_SRC)) $(GEN_OBJ); $(archive)
define proc_lib
$(O)/lib$(1).a: $(call objs,$(filter-out $(1)/main.c,$(call srcs,$(1)))); $$(archive)
endef
$(foreach p,$(PROC_LIBS),$(eval $(call proc_lib,$p)))

$(O)/libparley.so: $(call objs,$(CLIENT_SRC)) $(CORE_LIBS)
	$(call say,LD,$@)
	$(Q)echo '{ global: parley_*; local: *; };' > $(O)/libparley.map
	$(Q)$(CC) -shared -Wl,-soname,libparley.so.0 -Wl,--version-script=$(O)/libparley.map $(if $(SANITIZE),,-Wl,-z,defs) \
	  $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# ---- programs; they carry what they were built from, tests do not: a commit links no test again ----
REVISION ?= $(or $(PARLEY_REVISION),$(shell git rev-parse --short=12 HEAD 2>/dev/null),unknown)
$(O)/revision.c: FORCE
	@mkdir -p $(@D)
	@printf 'extern const char parley_revision[];\nconst char parley_revision[] = "%s";\n' '$(REVISION)' | cmp -s - $@ || \
	  printf 'extern const char parley_revision[];\nconst char parley_revision[] = "%s";\n' '$(REVISION)' > $@
$(O)/obj/revision.o: $(O)/revision.c $(O)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -c -o $@ $<
define link
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
endef
define proc_bin
$(O)/bin/parley-$(1): $(O)/obj/$(1)/main.o $(O)/obj/revision.o $(if $(filter $(1),$(PROC_LIBS)),$(O)/lib$(1).a) $(CORE_LIBS); $$(link)
endef
$(foreach p,$(PROCS),$(eval $(call proc_bin,$p)))
$(O)/bin/parley: $(call objs,$(call srcs,client/parley)) $(CLIENT_LIB) $(CORE_LIBS); $(link)
# It rebuilds with the very cores.
$(O)/bin/parleyctl: $(call objs,$(call srcs,client/parleyctl)) $(CLIENT_LIB) \
                    $(foreach p,router fanout persister offline,$(O)/lib$(p).a) $(CORE_LIBS); $(link)
$(O)/bin/parley-bench: $(call objs,$(call srcs,bench)) $(CLIENT_LIB) $(CORE_LIBS); $(link)
# The template that users copy, by its own Makefile.
$(O)/bin/per_minute: consumers/c/per_minute.c consumers/c/Makefile $(CORE_LIBS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(MAKE) -s -C consumers/c PARLEY=$(CURDIR) BUILD='$(abspath $(O))' OUT='$(abspath $@)' CC='$(CC)' CFLAGS='$(OPT) $(SAN) $(if $(COVERAGE),--coverage)' \
	  LDFLAGS='$(SAN)' -B
$(O)/bin/parley-sim: $(call objs,$(call srcs,tests/sim)) $(SIM_OBJ) $(SIM_PROCS:%=$(O)/lib%.a) $(CORE_LIBS); $(link)
$(O)/tests/unit/%: $(O)/obj/tests/unit/%.o $(TEST_LIBS); $(link)
$(O)/tests/integration/%: $(O)/obj/tests/integration/%.o $(TEST_LIBS); $(link)
$(O)/tests/containers/%: $(O)/obj/tests/containers/%.o $(TEST_LIBS); $(link)
# Without libFuzzer the targets get a small main that replays files and makes mutants of its own.
ifdef FUZZ
$(O)/tests/fuzz/%: ALL_LDFLAGS += -fsanitize=fuzzer
$(O)/tests/fuzz/%: $(O)/obj/tests/fuzz/%.o $(TEST_LIBS); $(link)
else
$(O)/tests/fuzz/%: $(O)/obj/tests/fuzz/%.o $(O)/obj/tests/fuzz/replay.o $(TEST_LIBS); $(link)
endif
.SECONDARY:

# ---- checks ----
LINTED := $(C_SRC) $(C_HDR) $(PROTOS)
lint: $(O)/lint.ok ## layers (who may include whom), protos and their compatibility, a row for every request, a test for every feature; part of plain `make`
MATRIX := common/im/frame.c proto/client.proto tests/matrix/matrix.tsv tests/matrix/cells.py
COMPAT := proto/compat.lock schema/topics.json docs/asyncapi.yaml tools/lint-proto-compat tools/make-asyncapi
$(O)/lint.ok: $(LINTED) $(MATRIX) docs/features.md tools/lint-layers tools/lint-proto tools/lint-matrix tools/lint-features \
               $(COMPAT)
	@mkdir -p $(@D)
	$(call say,LINT,layers$(comma) protos$(comma) who may do what$(comma) features)
	$(Q)$(PYTHON) tools/lint-layers $(C_SRC) $(C_HDR)
	$(Q)$(PYTHON) tools/lint-proto $(PROTOS)
	$(Q)$(PYTHON) tools/lint-matrix $(MATRIX)
	$(Q)$(PYTHON) tools/lint-features docs/features.md
	$(Q)PROTOC='$(PROTOC)' $(PYTHON) tools/lint-proto-compat
	$(Q)$(PYTHON) tools/make-asyncapi --check
	@touch $@
proto-lock: ## take what was added to proto/ and schema/topics.json into proto/compat.lock; refused when something breaks
	PROTOC='$(PROTOC)' $(PYTHON) tools/lint-proto-compat --accept
format: ## rewrite all C files by .clang-format
	clang-format -i $(C_SRC) $(C_HDR)
format-check: ## fails when a C file is not as .clang-format wants it
	clang-format --dry-run -Werror $(C_SRC) $(C_HDR)
tidy: $(GEN_H) ## clang-tidy over all C files
	@printf '%s\n' $(C_SRC) | xargs -P "$$(nproc)" -n 6 sh -c 'exec clang-tidy --quiet "$$@" -- $(filter-out -fstack-clash-protection,$(OUR_CFLAGS)) 2>/dev/null' tidy

# ---- tests ----
RUN := PARLEY_BUILD='$(O)' PARLEY_MAKE='$(MAKE)' SANITIZE='$(SANITIZE)' TEST='$(TEST)' SEEDS='$(SEEDS)' SEED='$(SEED)' tests/run
# The tools are in Python; a minimal Debian has none.
PYTHON_FIRST := command -v $(PYTHON) >/dev/null || tools/deps || exit 1;
test: ## install what is missing, build, run everything on real servers
	@+$(PYTHON_FIRST) $(RUN)
check: ## build and run the unit and integration tests whose name contains TEST=NAME; installs nothing
	@+$(RUN) --no-deps --only unit,integration
unit: ## build and run the unit tests; installs nothing
	@+$(RUN) --no-deps --only unit
integration: ## build and run the integration tests; installs nothing
	@+$(RUN) --no-deps --only integration
test-containers: ## the integration tests on Kafka, PostgreSQL, Redis in disposable containers, and the tests of those; installs nothing
	@+$(RUN) --no-deps --backend containers $(if $(ONE_BY_ONE),--one-by-one)
sim: $(SIM) ## run SEEDS=n simulated schedules, from SEED=n on
	$(if $(SIM),$(SIM) --seeds $(SEEDS) --seed $(SEED),@echo 'tests/sim is not here yet')
FUZZ_OUT := $(B)-address-undefined-fuzz
fuzz: ## build the libFuzzer targets (needs clang) and run each for SECONDS=60; TEST=NAME: only that one
	@command -v clang >/dev/null || { echo 'make fuzz needs clang: run `make deps-dev`'; exit 2; }
	+$(MAKE) CC=clang FUZZ=1 SANITIZE=address,undefined fuzzers
	tests/fuzz/run $(FUZZ_OUT)/tests/fuzz $(SECONDS) $(TEST)
FAULTS := --bin '$(if $(CRASH_POINTS),$(O),$(O)-crash)/bin' $(if $(ONLY),--only '$(ONLY)') \
          $(if $(filter file,$(origin SEED)),,--seed $(SEED)) $(if $(filter file,$(origin SEEDS)),,--seeds $(SEEDS)) $(if $(REPORT),--report)
faults: ## try the faults on real servers and judge what clients saw; ONLY=8,11 SEED=n SEEDS=n REPORT=1
	@+$(PYTHON_FIRST) $(MAKE) CRASH_POINTS=1 programs
	@tests/faults/run --keep $(FAULTS)
faults-planted: ## the same harness on programs with a defect planted: each has to turn it red
	@+$(PYTHON_FIRST) $(MAKE) CRASH_POINTS=1 programs
	@tests/faults/planted $(FAULTS)
planted: ## show that the crash and random-operations tests notice planted defects
	+$(MAKE) CRASH_POINTS=1 build-crash
	tests/planted '$(if $(CRASH_POINTS),$(O),$(O)-crash)'
.PHONY: disaster planted faults faults-planted fuzzers build-unit build-integration build-containers build-crash test-containers
fuzzers: $(FUZZERS)
# What tests/run needs for part of the tests, so that a file in progress elsewhere does not stand in the way.
chosen = $(if $(TEST),$(foreach t,$(1),$(if $(findstring $(TEST),$(notdir $t)),$t)),$(1))
build-unit: $(call chosen,$(UNIT))
build-crash: $(PROGRAMS) $(addprefix $(O)/tests/integration/,test_crash test_history test_random) # with CRASH_POINTS=1
build-containers: $(if $(call chosen,$(CONTAINERS)),$(PROGRAMS) $(call chosen,$(CONTAINERS)))
build-integration: $(if $(call chosen,$(INTEGRATION)),$(PROGRAMS) $(O)/bin/per_minute $(call chosen,$(INTEGRATION)))
coverage: ## unit tests with gcov; prints lines covered per folder
	+$(MAKE) COVERAGE=1 unit
	$(PYTHON) tools/coverage $(B)-coverage
docs: programs ## the pages that are made from the source: error codes, settings, topics
	tools/make-errors
	tools/make-asyncapi
	tools/make-configuration $(O)/bin
	tools/make-metrics
	tools/make-dashboards
bench: ## the benchmark: private servers, the pipeline, floors measured in the same run
	@+$(PYTHON_FIRST) PARLEY_BUILD='$(O)' PARLEY_MAKE='$(MAKE)' tools/bench
bench-history-100m: ## row 11 of the benchmark with 100 million rows of history as well; needs 40 GB
	@+$(PYTHON_FIRST) PARLEY_BUILD='$(O)' PARLEY_MAKE='$(MAKE)' tools/bench --rows 11 --history-rows 100000000
bench-rebuild-10m: programs ## ten million messages made history again: rows/s against COPY, memory; needs 15 GB
	@PARLEY_BUILD='$(O)' tools/bench-rebuild --messages 10000000 --rounds 1
demo: ## install what is missing, build, start everything and let two demo users talk; Ctrl-C stops it
	@+$(PYTHON_FIRST) PARLEY_BUILD='$(O)' PARLEY_MAKE='$(MAKE)' tools/demo
check-dashboards: programs ## every panel and alert against a running pipeline with a Prometheus (Debian's package); DRAW=1 draws docs/screenshots too
	@PARLEY_BUILD='$(O)' tools/check-dashboards $(if $(DRAW),--draw --seconds 240)
disaster: ## destroy all that is derived, twice, under people who talk; rebuild it; compare; SEED=n CHEAT=row|queue|account|twice
	@+$(PYTHON_FIRST) tools/deps && $(MAKE) programs
	@tools/disaster --bin '$(O)/bin' $(if $(filter file,$(origin SEED)),,--seed $(SEED)) $(if $(CHEAT),--cheat $(CHEAT))
deps: ## install the packages and Kafka jars that are missing
	@tools/deps
deps-dev: ## the same, and clang-format, clang-tidy, clang
	@tools/deps --dev

# In containers; none of these is part of `make test`, a machine without Docker passes that.
.PHONY: test-compose test-cluster test-debian13
test-compose: $(O)/bin/parley ## needs Docker: docs/containers.md from a clean clone: up, smoke, restarts, kill -9, secrets, down -v; IMAGE=NAME: do not build
	@compose/test --parley '$(O)/bin/parley' --stand-ins $(if $(IMAGE),--image '$(IMAGE)')
test-cluster: ## needs Docker: three brokers; one killed under traffic, then two, then all back: what was acked is there once; IMAGE=parley:local
	@+$(PYTHON_FIRST) PARLEY_BUILD='$(O)' compose/cluster-test $(if $(IMAGE),--image '$(IMAGE)')
test-debian13: ## needs Docker: builds everything in a Debian 13 container and runs the unit tests there
	docker build -q --target build -t parley:build . >/dev/null
	docker run --rm --network none -v '$(CURDIR):/tree:ro' parley:build compose/image/unit /tree

# ---- the rest ----
compile_commands.json: Makefile $(O)/flags $(GEN_H) ## for editors and clang tools
	@{ echo '['; for f in $(C_SRC); do printf '%s{"directory":"%s","file":"%s","arguments":[' "$$sep" "$(CURDIR)" "$$f"; \
	  printf '"%s",' $(CC) $(OUR_CFLAGS) $(CFLAGS); printf '"-c","%s"]}\n' "$$f"; sep=,; done; echo ']'; } > $@

install: programs install-programs install-libparley install-man install-system ## everything under $(DESTDIR)$(prefix): programs, libparley, schema, protos, manual pages, units
install-programs: programs
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(datadir)/proto
	$(if $(PROGRAMS),install -m 755 $(PROGRAMS) $(DESTDIR)$(bindir))
	$(if $(PROTOS),install -m 644 $(O)/parley.desc $(DESTDIR)$(datadir))
	$(if $(PROTOS),install -m 644 $(PROTOS) $(DESTDIR)$(datadir)/proto)
	$(if $(wildcard schema),cp -R schema $(DESTDIR)$(datadir)/)
VERSION = $(shell sed -n 's/.*PARLEY_VERSION "\(.*\)"/\1/p' common/base/version.h)
install-libparley: programs
	install -d $(DESTDIR)$(libdir) $(DESTDIR)$(includedir) $(DESTDIR)$(pkgconfigdir)
	install -m 644 $(O)/libparley.a $(DESTDIR)$(libdir)
	install -m 755 $(O)/libparley.so $(DESTDIR)$(libdir)/libparley.so.0
	ln -sf libparley.so.0 $(DESTDIR)$(libdir)/libparley.so
	for h in $(notdir $(wildcard client/lib/parley*.h)); do sed 's,"client/lib/,",' client/lib/$$h > $(DESTDIR)$(includedir)/$$h; done
	sed -e 's,@prefix@,$(prefix),; s,@libdir@,$(libdir),; s,@includedir@,$(includedir),; s,@datadir@,$(datadir),' \
	  -e 's,@version@,$(VERSION),' packaging/parley.pc.in > $(DESTDIR)$(pkgconfigdir)/parley.pc
# Manual pages are what --help says.
install-man: programs
	rm -rf $(O)/man && $(PYTHON) packaging/make-man $(O)/bin $(O)/man
	install -d $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man8 $(DESTDIR)$(completionsdir)
	install -m 644 $(O)/man/*.1 $(DESTDIR)$(mandir)/man1
	install -m 644 $(O)/man/*.8 $(DESTDIR)$(mandir)/man8
	install -m 644 packaging/completion.bash $(DESTDIR)$(completionsdir)/parleyctl
	install -m 644 packaging/completion.bash $(DESTDIR)$(completionsdir)/parley
install-system: programs
	install -d $(DESTDIR)$(unitdir)/parley-.service.d $(DESTDIR)$(sysusersdir) $(DESTDIR)$(tmpfilesdir)
	for u in packaging/systemd/*.service; do sed 's,@bindir@,$(bindir),' $$u > $(DESTDIR)$(unitdir)/$${u##*/} || exit 1; done
	install -m 644 packaging/systemd/parley.target $(DESTDIR)$(unitdir)
	install -m 644 packaging/systemd/common.conf $(DESTDIR)$(unitdir)/parley-.service.d/10-parley.conf
	install -m 644 packaging/systemd/parley.sysusers $(DESTDIR)$(sysusersdir)/parley.conf
	install -m 644 packaging/systemd/parley.tmpfiles $(DESTDIR)$(tmpfilesdir)/parley.conf
uninstall: ## what `make install` with the same variables put there; nothing else
	+@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && $(MAKE) --no-print-directory install DESTDIR="$$new" >/dev/null && cd "$$new" && \
	  find . ! -type d | while read -r f; do rm -fv "$(DESTDIR)/$$f"; done && \
	  find . -depth -type d -path '*parley*' | while read -r d; do [ ! -d "$(DESTDIR)/$$d" ] || rmdir -v --ignore-fail-on-non-empty "$(DESTDIR)/$$d"; done
.PHONY: uninstall install-programs install-libparley install-man install-system check-packaging deb test-deb test-upgrade
check-packaging: programs ## what systemd's own tools say of the units (systemd-analyze has to be there)
	packaging/check-units '$(O)'
deb: ## Debian packages, into $(B)/deb
	packaging/make-deb '$(B)/deb'
test-deb: ## packages built, installed, run, upgraded, removed, purged in a fresh Debian under $(B)/deb; root, network
	@+$(PYTHON_FIRST) packaging/test-deb --out '$(B)/deb' $(if $(DEBS),--debs '$(DEBS)')
test-upgrade: programs ## the release before and this one side by side under traffic, process by process, with the schema's change
	tests/upgrade/run --bin '$(O)/bin' $(if $(filter file,$(origin SEED)),,--seed $(SEED))

clean: ## remove what was built
	rm -rf $(B) $(B)-address* $(B)-undefined* $(B)-thread* $(B)-leak* $(B)-coverage* $(B)-crash* compile_commands.json

-include $(patsubst %.o,%.d,$(call objs,$(C_SRC)) $(GEN_OBJ) $(SIM_OBJ))
