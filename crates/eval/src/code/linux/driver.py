# Runs the program that stands on standard input behind a line with a token, and reports under that token how it ended.
import os, sys

os.closerange(3, 65536)
token, _, source = sys.stdin.buffer.read().partition(b"\n")
report = os.dup(1)
null = os.open(os.devnull, os.O_RDWR)
for standard in (0, 1, 2):
    os.dup2(null, standard)
os.close(null)
sys.path[:] = [path for path in sys.path if path]


def main(source, token, report, write=os.write, leave=os._exit):
    write(report, b"\n" + token + b" started\n")
    try:
        # A name space of its own, in which `__name__` is not "__main__": as HumanEval's own runner has it.
        exec(compile(source.decode(), "<program>", "exec"), {})
        said = "passed"
    except BaseException as problem:
        said = "failed " + type(problem).__name__
        try:
            said += ": " + str(problem)
        except BaseException:
            pass
    said = " ".join(said[:400].split())
    write(report, b"\n" + token + b" " + said.encode("utf-8", "replace") + b"\n")
    leave(0)


main(source, token, report)
