# Says where this interpreter lies and what it has loaded, as JSON.
import json, os, sys

maps = set()
with open("/proc/self/maps", "rb") as lines:
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].startswith(b"/"):
            maps.add(os.fsdecode(fields[5].rstrip(b"\n")))
executable = os.path.realpath(sys.executable)
home = os.path.dirname(executable)
libraries = [os.path.join(sys.base_prefix, name) for name in ("lib", "lib64")]
used = [folder for folder in libraries if any(path.startswith(folder + os.sep) for path in sys.path)]
settings = [os.path.join(home, "pyvenv.cfg"), os.path.join(os.path.dirname(home), "pyvenv.cfg")]
print(json.dumps({
    "path": executable,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "implementation": sys.implementation.name,
    "readable": [path for path in sys.path + used + settings if path and os.path.exists(path)],
    "executable": sorted({executable} | {path for path in maps if ".so" in os.path.basename(path)}),
    "library_path": os.environ.get("LD_LIBRARY_PATH", ""),
}))
