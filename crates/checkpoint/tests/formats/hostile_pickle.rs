//! Pickles that want more than a state dict: each is refused with the opcode and its place, and nothing is executed.

use gptneo_checkpoint::Fault;
use gptneo_checkpoint::torch::state_dict;
use proptest::prelude::*;

use crate::support::pickle::Pickle;
use crate::support::small_state_dict;

#[track_caller]
fn refuses(pickle: &[u8], words: &str) {
    match state_dict(pickle) {
        Ok(views) => panic!("accepted as {views:?}; wanted a refusal with `{words}`"),
        Err(fault) => {
            let message = fault.to_string();
            assert!(message.contains(words), "wanted `{words}` in: {message}");
            assert!(!message.contains(char::is_control), "control characters in: {message:?}");
        }
    }
}

/// A pickle of protocol 2 with this body is refused.
#[track_caller]
fn refuses_body(body: &[u8], words: &str) {
    refuses(&[b"\x80\x02", body].concat(), words);
}

#[test]
fn refuses_truncations() {
    let (pickle, _) = small_state_dict();
    assert_eq!(state_dict(&pickle).unwrap().len(), 3);
    for len in 0..pickle.len() {
        assert!(state_dict(&pickle[..len]).is_err(), "accepted the first {len} bytes");
    }
}

#[test]
fn survives_bit_flips() {
    let (mut pickle, _) = small_state_dict();
    for bit in 0..pickle.len() * 8 {
        pickle[bit / 8] ^= 1 << (bit % 8);
        if let Ok(views) = state_dict(&pickle) {
            assert!(views.len() <= 3, "bit {bit}");
        }
        pickle[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Names through which code has been run, in the wild or in advisories.
#[test]
fn refuses_every_callable_but_its_own() {
    let names = [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("os", "popen"),
        ("os", "execve"),
        ("subprocess", "Popen"),
        ("subprocess", "check_output"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "compile"),
        ("builtins", "__import__"),
        ("builtins", "getattr"),
        ("builtins", "open"),
        ("__builtin__", "eval"),
        ("__builtin__", "getattr"),
        ("__builtin__", "apply"),
        ("importlib", "import_module"),
        ("runpy", "_run_code"),
        ("pty", "spawn"),
        ("socket", "create_connection"),
        ("webbrowser", "open"),
        ("shutil", "rmtree"),
        ("pickle", "loads"),
        ("_pickle", "loads"),
        ("cPickle", "loads"),
        ("marshal", "loads"),
        ("types", "FunctionType"),
        ("types", "CodeType"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("torch", "load"),
        ("torch", "hub"),
        ("torch.hub", "load"),
        ("torch.serialization", "load"),
        ("torch.utils.data.datapipes.utils.decoder", "basichandlers"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("torch._utils", "_rebuild_qtensor"),
        ("torch._utils", "_rebuild_device_tensor_from_numpy"),
        ("torch._tensor", "_rebuild_from_type_v2"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.storage", "UntypedStorage"),
        ("torch", "ComplexFloatStorage"),
        ("torch", "QInt8Storage"),
        ("torch.jit", "load"),
        ("torch.nn.modules.linear", "Linear"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy", "load"),
        ("collections", "defaultdict"),
        ("collections", "OrderedDict.__reduce__"),
        ("collections.OrderedDict", ""),
        ("collections", "OrderedDict\r"),
        (" collections", "OrderedDict"),
        ("torch", "_utils._rebuild_tensor_v2"),
        ("torch", "FloatStorage "),
        ("", ""),
    ];
    for (module, name) in names {
        let asked = "which reading weights does not need";
        refuses(&Pickle::bare().global(module, name).text("id").raw(b"\x85R.").0, asked);
        // Protocol 4 spells the same with STACK_GLOBAL, and a list item hides it below a valid dict.
        refuses(&Pickle::bare().text(module).text(name).raw(b"\x93)R.").0, asked);
        refuses(&Pickle::bare().raw(b"}").text("x").global(module, name).raw(b")Rs.").0, asked);
    }
}

#[test]
fn refuses_opcodes_by_name_and_place() {
    let opcodes: &[(&[u8], &str)] = &[
        (b"(S'id'\nios\nsystem\n.", "opcode STRING (0x53)"),
        (b"(ios\nsystem\n.", "opcode INST (0x69)"),
        (b"(cos\nsystem\no.", "reading weights does not need"),
        (b"(ccollections\nOrderedDict\no.", "opcode OBJ (0x6f)"),
        (b"ccollections\nOrderedDict\n)\x81.", "opcode NEWOBJ (0x81)"),
        (b"ccollections\nOrderedDict\n)}\x92.", "opcode NEWOBJ_EX (0x92)"),
        (b"\x82\x01.", "opcode EXT1 (0x82)"),
        (b"\x83\x01\x01.", "opcode EXT2 (0x83)"),
        (b"\x84\x01\x01\x01\x01.", "opcode EXT4 (0x84)"),
        (b"Pid\n.", "opcode PERSID (0x50)"),
        (b"I1\n.", "opcode INT (0x49)"),
        (b"L1L\n.", "opcode LONG (0x4c)"),
        (b"F1.0\n.", "opcode FLOAT (0x46)"),
        (b"Vx\n.", "opcode UNICODE (0x56)"),
        (b"U\x01x.", "opcode SHORT_BINSTRING (0x55)"),
        (b"T\x01\0\0\0x.", "opcode BINSTRING (0x54)"),
        (b"C\x01x.", "opcode SHORT_BINBYTES (0x43)"),
        (b"B\x01\0\0\0x.", "opcode BINBYTES (0x42)"),
        (b"\x8e\x01\0\0\0\0\0\0\0x.", "opcode BINBYTES8 (0x8e)"),
        (b"\x96\x01\0\0\0\0\0\0\0x.", "opcode BYTEARRAY8 (0x96)"),
        (b"\x97.", "opcode NEXT_BUFFER (0x97)"),
        (b"\x98.", "opcode READONLY_BUFFER (0x98)"),
        (b"\x8b\x01\0\0\0\x01.", "opcode LONG4 (0x8b)"),
        (b"\x8b\xff\xff\xff\x7f", "opcode LONG4 (0x8b)"),
        (b"\x8f.", "opcode EMPTY_SET (0x8f)"),
        (b"(\x91.", "opcode FROZENSET (0x91)"),
        (b"(d.", "opcode DICT (0x64)"),
        (b"(l.", "opcode LIST (0x6c)"),
        (b"N0.", "opcode POP (0x30)"),
        (b"(1.", "opcode POP_MARK (0x31)"),
        (b"N2.", "opcode DUP (0x32)"),
        (b"Np0\n.", "opcode PUT (0x70)"),
        (b"g0\n.", "opcode GET (0x67)"),
        (b"\0", "opcode unknown (0x00)"),
        (b"\xff", "opcode unknown (0xff)"),
    ];
    for (body, words) in opcodes {
        refuses_body(body, words);
    }
    refuses_body(b"NN\x8f.", "(byte 4 of data.pkl)");
}

#[test]
fn knows_no_other_opcodes_than_its_own() {
    // On a stack with something of each kind, an opcode outside of the list fails as unknown, whatever follows.
    let allowed = b"\x80\x95(N\x88\x89JKM\x8aGX\x8c\x8d)\x85\x86\x87t]ae}suqr\x94hjc\x93QRb.";
    for opcode in (0..=255).filter(|opcode| !allowed.contains(opcode)) {
        refuses_body(&[b"}](NN", &[opcode][..], &[0; 64]].concat(), "refused pickle: opcode");
    }
}

#[test]
fn refuses_other_protocols() {
    for protocol in [0, 1, 6, 255] {
        refuses(&[0x80, protocol, b'}', b'.'], "protocol");
    }
}

#[test]
fn refuses_an_empty_stack() {
    for body in [
        ".", "R", "NR", "Q", "b", "}b", "s", "}s", "}Ns", "a", "Na", "]a", "(e", "(u", "u", "t", "e", "q\0", "\u{85}",
        "\x01",
    ] {
        assert!(state_dict(&[b"\x80\x02", body.as_bytes()].concat()).is_err(), "{body:?}");
    }
    refuses_body(b".", "stack underflow");
    refuses_body(b"N\x86.", "stack underflow");
    refuses_body(b"NN\x87.", "stack underflow");
    refuses_body(b"q\0.", "stack underflow");
    refuses_body(b"\x94.", "stack underflow");
    refuses_body(b"t.", "no mark");
    // An opcode does not reach below the last mark.
    refuses_body(b"N(\x85.", "stack underflow");
    refuses_body(b"N(q\0.", "stack underflow");
    refuses_body(b"]N(a.", "stack underflow");
    refuses_body(b"](Ne(.", "stack underflow");
}

#[test]
fn refuses_what_is_left_over() {
    refuses_body(b"N}.", "values left on the stack");
    refuses_body(b"}.}.", "bytes after STOP");
    refuses_body(b"}.\0", "bytes after STOP");
    let inner = Pickle::bare().global("os", "system").text("id").raw(b"\x85R.").0.clone();
    refuses_body(&[b"}.", inner.as_slice()].concat(), "bytes after STOP");
}

#[test]
fn refuses_memo_entries_that_were_never_set() {
    refuses_body(b"h\0.", "memo entry 0");
    refuses_body(b"}q\x01h\0.", "memo entry 0");
    refuses_body(b"j\xff\xff\xff\xff.", "memo entry 4294967295");
    // A large index costs nothing.
    assert!(state_dict(b"\x80\x02}r\xff\xff\xff\xff.").unwrap().is_empty());
}

#[test]
fn refuses_bombs() {
    refuses_body(&b"(".repeat(3_000_000), "more than 2097152 values");
    refuses_body(&b"N".repeat(3_000_000), "more than 2097152 values");
    refuses_body(&b"]".repeat(1_000_000), "more than 524288 containers");
    refuses_body(&b")".repeat(1_000_000), "more than 524288 containers");
    refuses_body(&[b"N".as_slice(), &b"\x94".repeat(1_100_000)].concat(), "more than 1048576 memo entries");
    refuses_body(&[b"Nq\0".as_slice(), &b"h\0".repeat(3_000_000)].concat(), "more than 2097152 values");
    // Lists that double: 2^60 items if anything expanded them.
    let mut doubling = b"]q\0".to_vec();
    (0..60u8).for_each(|i| doubling.extend_from_slice(&[b'h', i, b'h', i, 0x86, b'q', i + 1]));
    refuses_body(&doubling, "ends too early");
    refuses_body(&[doubling.as_slice(), b"."].concat(), "values left");
    // A list that contains itself.
    refuses_body(b"]q\0h\0a.", "wanted a state dict, tensors by name, found a list");
}

#[test]
fn survives_nesting_a_million_deep() {
    refuses_body(&[b"N".as_slice(), &b"\x85".repeat(500_000), b"."].concat(), "found a tuple");
    refuses_body(&[b"(".repeat(1_000_000), b"t".repeat(1_000_000), b".".to_vec()].concat(), "containers");
    refuses_body(&[b"(".repeat(500_000), b"t".repeat(500_000), b".".to_vec()].concat(), "found a tuple");
}

#[test]
fn refuses_lying_lengths() {
    refuses_body(b"X\xff\xff\xff\xffabc", "ends too early: 4294967295 bytes wanted, 3 left");
    refuses_body(b"\x8c\xffabc", "ends too early: 255 bytes wanted, 3 left");
    refuses_body(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "ends too early: 18446744073709551615 bytes wanted");
    refuses_body(b"\x8a\xffabc", "an integer of 255 bytes");
    refuses_body(b"\x8a\x08abc", "ends too early");
    refuses_body(b"\x95\xff", "ends too early");
    refuses_body(b"X\x02\0\0\0\xff\xfe.", "a string that is not UTF-8");
    refuses_body(b"ccollections", "a name without an end");
    refuses_body(&[b"c".as_slice(), &b"a".repeat(1 << 20), b"\nb\n"].concat(), "a name without an end");
    refuses_body(b"c\xff\xfe\nb\n", "a name that is not UTF-8");
}

/// Arguments of the rebuilding functions that are not what they should be.
#[test]
fn refuses_calls_that_torch_would_not_write() {
    let call = |arguments: &[u8]| {
        let mut p = Pickle::bare();
        p.raw(b"}").text("x").global("torch._utils", "_rebuild_tensor_v2").raw(arguments).raw(b"Rs.");
        p.0.clone()
    };
    let storage = Pickle(Vec::new()).storage("FloatStorage", "0", 6).0.clone();
    let with_storage = |rest: &[u8]| call(&[b"(", storage.as_slice(), rest, b"t"].concat());
    assert_eq!(state_dict(&with_storage(b"K\0K\x06\x85K\x01\x85\x89N")).unwrap().len(), 1);
    assert_eq!(state_dict(&with_storage(b"K\0K\x06\x85K\x01\x85\x89NN")).unwrap().len(), 1);
    refuses(&with_storage(b"K\0K\x06\x85K\x01\x85"), "arguments of other kinds");
    refuses(&with_storage(b"K\0K\x06\x85K\x01\x85NN"), "arguments of other kinds");
    refuses(&with_storage(b"K\0K\x06\x85K\x01\x85\x89N}K\x01\x88s"), "a tensor with metadata");
    refuses(&with_storage(b"K\0K\x06\x85K\x01\x85\x89NK\x01"), "a tensor with metadata");
    refuses(&with_storage(b"K\0K\x06\x85K\x01\x85\x89NNN"), "a tensor with metadata");
    refuses(&with_storage(b"K\0K\x06\x85)\x89N"), "1 axes with 0 strides");
    refuses(&with_storage(b"K\0J\xff\xff\xff\xff\x85K\x01\x85\x89N"), "the size -1");
    refuses(&with_storage(b"J\xff\xff\xff\xffK\x06\x85K\x01\x85\x89N"), "the size -1");
    refuses(&with_storage(b"K\0K\x06\x85J\xff\xff\xff\xff\x85\x89N"), "the size -1");
    refuses(&with_storage(b"NK\x06\x85K\x01\x85\x89N"), "None as a size");
    refuses(&with_storage(b"K\0K\x06K\x01\x85\x89N"), "an integer in place of a tuple");
    refuses(&with_storage(b"K\0]K\x06aK\x01\x85\x89N"), "a list in place of a tuple");
    refuses(&with_storage(b"K\0(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t)\x89N"), "9 axes");
    refuses(&call(b"(NK\0K\x06\x85K\x01\x85\x89Nt"), "a tensor made of None");
    refuses(&call(b"N"), "None in place of a tuple");
    refuses(&call(b"}"), "a dict in place of a tuple");
    refuses(&call(b")"), "with 0 arguments");

    refuses_body(b"ccollections\nOrderedDict\n]\x85R.", "OrderedDict with arguments");
    refuses_body(b"ccollections\nOrderedDict\nNR.", "None in place of a tuple");
    refuses_body(b"ctorch\nFloatStorage\n)R.", "a call of the storage type");
    refuses_body(b"N)R.", "a call of None");
    refuses_body(b"})R.", "a call of a dict");
    refuses_body(b"ctorch._utils\n_rebuild_parameter\n)R.", "_rebuild_parameter with other arguments");
    refuses_body(b"ctorch._utils\n_rebuild_parameter\n(N\x88Nt.", "values left");
    refuses_body(b"ctorch._utils\n_rebuild_parameter\n(N\x88NtR.", "a parameter made of None");
}

#[test]
fn refuses_persistent_ids_that_are_no_storages() {
    let id = |body: &[u8]| [b"\x80\x02".as_slice(), body, b"Q."].concat();
    refuses(&id(b"N"), "None in place of a tuple");
    refuses(&id(b")"), "names no storage");
    refuses(
        &id(&Pickle(Vec::new())
            .raw(b"(")
            .text("module")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .raw(b"K\x01t")
            .0),
        "a persistent id of kind `module`",
    );
    refuses(
        &id(&Pickle(Vec::new())
            .raw(b"(")
            .text("storage")
            .global("collections", "OrderedDict")
            .text("0")
            .text("cpu")
            .raw(b"K\x01t")
            .0),
        "names no storage",
    );
    refuses(
        &id(&Pickle(Vec::new())
            .raw(b"(")
            .text("storage")
            .global("torch", "FloatStorage")
            .text("0")
            .text("cpu")
            .raw(b"J\xff\xff\xff\xfft")
            .0),
        "the size -1",
    );
    refuses(
        &id(&Pickle(Vec::new())
            .raw(b"(")
            .text("storage")
            .global("torch", "FloatStorage")
            .raw(b"K\0")
            .text("cpu")
            .raw(b"K\x01t")
            .0),
        "names no storage",
    );
}

#[test]
fn refuses_state_that_is_no_attributes() {
    refuses_body(b"NNb.", "BUILD of None with None");
    refuses_body(b"]}b.", "BUILD of a list with a dict");
    refuses_body(b"}Nb.", "BUILD of a dict with None");
    refuses_body(b"ccollections\nOrderedDict\n}b.", "BUILD of a class or function");
}

#[test]
fn refuses_what_is_no_state_dict() {
    refuses_body(b"N.", "wanted a state dict, tensors by name, found None");
    refuses_body(b"K\x01.", "found an integer");
    refuses_body(&Pickle(Vec::new()).rebuild("FloatStorage", "0", 1, 0, &[], &[]).raw(b".").0, "found a tensor");
    refuses_body(
        &Pickle(Vec::new()).raw(b"}").text("epoch").raw(b"K\x03s.").0,
        "tensor `epoch`: wanted a tensor, found an integer: save the state dict of the model alone",
    );
    refuses_body(
        &Pickle(Vec::new()).raw(b"}").text("model").raw(b"}s.").0,
        "tensor `model`: wanted a tensor, found a dict",
    );
    refuses_body(b"}K\x01Ns.", "an integer as a key");
    refuses_body(b"}N(s.", "stack underflow");
    refuses_body(b"}(Nu.", "a key without a value");
    refuses_body(b"](NNu.", "keys set in what is no dict");
    refuses_body(b"}Na.", "items appended to what is no list");
}

fn opcode_soup() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&'static [u8]> = vec![
        b"(",
        b"t",
        b"u",
        b"e",
        b"s",
        b"a",
        b"}",
        b"]",
        b")",
        b"N",
        b"\x88",
        b"K\x01",
        b"K\0",
        b"\x85",
        b"\x86",
        b"\x87",
        b"q\0",
        b"h\0",
        b"q\x01",
        b"h\x01",
        b"\x94",
        b"Q",
        b"R",
        b"b",
        b"\x93",
        b".",
        b"X\x01\0\0\0x",
        b"X\x07\0\0\0storage",
        b"ccollections\nOrderedDict\n",
        b"ctorch\nFloatStorage\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQK\0K\x01\x85K\x01\x85\x89Nt",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn never_panics_on_opcodes_in_any_order(soup in opcode_soup()) {
        if let Err(fault) = state_dict(&[b"\x80\x02", soup.as_slice()].concat()) {
            let expected = matches!(fault, Fault::Pickle { .. } | Fault::Structure { .. } | Fault::Tensor { .. });
            prop_assert!(expected, "{}", fault);
        }
    }

    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(state_dict(&bytes));
    }
}
