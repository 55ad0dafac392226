#!/usr/bin/env python3
"""make install and uninstall: into a folder, with what a user of libparley needs, and away again without a trace."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("PARLEY_BUILD") or os.path.join(TREE, "build"))
SANITIZE = os.environ.get("SANITIZE", "")
PROGRAM = """#include <parley.h>
#include <parley_history.h>
#include <stdio.h>
int main(void)
{
    struct parley_options o = {.servers = "127.0.0.1:1"};
    struct parley_callbacks c = {0};
    struct parley *p = parley_new(&o, &c, NULL);
    puts(p && parley_fd(p) == -1 ? "linked" : "no handle");
    parley_free(p);
    return 0;
}
"""
place = tempfile.mkdtemp(prefix="parley-install-")
root = os.path.join(place, "root")


def run(*words, **more):
    r = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    assert r.returncode == 0, f"{' '.join(words)}: {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-4000:]}"
    return r.stdout


def make(target):
    base = BUILD
    for suffix in ("-coverage", "-crash", "-" + SANITIZE.replace(",", "-")):
        base = base.removesuffix(suffix) if suffix != "-" else base
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    more = [f"SANITIZE={SANITIZE}"] if SANITIZE else []
    return run("make", "--no-print-directory", "-j2", "-C", TREE, target, f"B={base}", f"DESTDIR={root}", "prefix=/opt/parley", *more, env=env)


def at(*path):
    return os.path.join(root, "opt/parley", *path)


def files():
    return sorted(os.path.relpath(os.path.join(top, n), root) for top, _, names in os.walk(root) for n in names)


def test_install():
    make("install")
    for name in ("bin/parleyctl", "bin/parley-edge", "share/parley/parley.desc", "share/parley/schema/topics.json", "share/man/man8/parley-edge.8",
                 "share/man/man1/parleyctl-migrate.1", "lib/systemd/system/parley-edge@.service", "lib/sysusers.d/parley.conf"):
        assert os.path.exists(at(name)), name


def test_a_unit_for_each_process_and_nothing_left_to_fill_in():
    units = {re.sub(r"@?\.service$", "", n) for n in os.listdir(at("lib/systemd/system")) if n.endswith(".service")}
    programs = {n for n in os.listdir(at("bin")) if n.startswith("parley-") and n != "parley-bench"}
    assert units == programs, units ^ programs
    for unit in os.listdir(at("lib/systemd/system")):
        path = at("lib/systemd/system", unit)
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            assert not re.search(r"@\w+@", text), unit
            start = re.search(r"^ExecStart=(\S+)$", text, re.M)
            assert unit.endswith(".target") or os.access(root + start.group(1), os.X_OK), f"{unit}: {start}"


def test_units_give_the_key_to_those_that_want_it():
    for name in os.listdir(at("bin")):
        unit = next((p for p in (at(f"lib/systemd/system/{name}.service"), at(f"lib/systemd/system/{name}@.service")) if os.path.exists(p)), None)
        if unit:
            wants = "`secrets.master_key_file`" in run(at("bin", name), "--config-reference")
            with open(unit, encoding="utf-8") as f:
                assert ("LoadCredential=master.key:" in f.read()) == wants, name


def test_pkg_config_and_a_small_program():
    if SANITIZE:
        return  # the library wants the sanitizer in the program, too
    env = {**os.environ, "PKG_CONFIG_PATH": at("lib/pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": ""}
    source = os.path.join(place, "small.c")
    with open(source, "w", encoding="ascii") as f:
        f.write(PROGRAM)

    def flags(*words):
        return [re.sub(r"^(-[IL])/opt/parley", rf"\1{at()}".rstrip("/"), w) for w in run("pkg-config", *words, "parley", env=env).split()]
    assert run("pkg-config", "--modversion", "parley", env=env).strip()
    shared, static = os.path.join(place, "shared"), os.path.join(place, "static")
    run("cc", "-Wall", "-Werror", source, *flags("--cflags", "--libs"), "-o", shared)
    assert run(shared, env={**env, "LD_LIBRARY_PATH": at("lib")}) == "linked\n"
    more = [at("lib/libparley.a") if w == "-lparley" else w for w in flags("--static", "--cflags", "--libs")]
    run("cc", "-Wall", "-Werror", source, *more, "-o", static)
    assert run(static, env=env) == "linked\n"


def test_manual_pages_are_readable():
    if shutil.which("man"):
        for name in ("man1/parleyctl.1", "man8/parley-edge.8", "man1/parley.1"):
            r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", at("share/man", name)], capture_output=True, text=True, check=False,
                               env={**os.environ, "LC_ALL": "C.UTF-8"})
            assert not r.stderr.strip(), f"{name}: {r.stderr}"


def test_completion():
    words = "COMP_WORDS=(parleyctl mig); COMP_CWORD=1; _parley parleyctl mig; echo ${COMPREPLY[*]}"
    env = {**os.environ, "PATH": at("bin") + ":" + os.environ["PATH"]}
    assert run("bash", "-c", f". {at('share/bash-completion/completions/parleyctl')}; {words}", env=env) == "migrate\n"
    words = "COMP_WORDS=(parley send --wa); COMP_CWORD=2; _parley parley --wa; echo ${COMPREPLY[*]}"
    assert run("bash", "-c", f". {at('share/bash-completion/completions/parley')}; {words}", env=env) == "--wait\n"


def test_uninstall_leaves_what_is_not_ours():
    for name in ("share/parley/schema/mine.sql", "bin/other"):
        with open(at(name), "w", encoding="ascii") as f:
            f.write("mine\n")
    make("uninstall")
    assert files() == ["opt/parley/bin/other", "opt/parley/share/parley/schema/mine.sql"], files()


status = tap.run(globals())
shutil.rmtree(place, ignore_errors=True)
sys.exit(status)
