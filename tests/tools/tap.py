"""Ten lines of TAP for the Python tests: every function named test_* of the caller, in the order of its source."""
import traceback


def run(names):
    tests = [(n, f) for n, f in names.items() if n.startswith("test_") and callable(f)]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Exception:  # noqa: BLE001
            failed += 1
            print(f"not ok {number} - {name}", flush=True)
            print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "), flush=True)
    return 1 if failed else 0
