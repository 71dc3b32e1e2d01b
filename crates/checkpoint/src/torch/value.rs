//! What the pickle machine can make: plain values, and the few objects of a state dict.

use gptneo_device::DType;

/// A value on the stack. Containers live in the machine's arena, so nothing here is recursive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    None,
    /// `requires_grad`; which of the two does not matter.
    Bool,
    Int(i64),
    /// Floats occur beside tensors in some files; their values are never needed.
    Float,
    Text(Text),
    Global(Global),
    /// Position in the arena.
    Node(u32),
}

/// A string, as its place in the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// Something the arena holds.
#[derive(Debug)]
pub(super) enum Node {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    Tensor(Box<Tensor>),
}

/// Raw elements, in an archive entry of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage {
    pub(super) dtype: DType,
    pub(super) key: Text,
    pub(super) len: usize,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The names a pickle may use: all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageType(DType),
}

impl Global {
    /// The allow-list.
    pub(super) fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", storage) => Self::StorageType(match storage {
                "FloatStorage" => DType::F32,
                "HalfStorage" => DType::F16,
                "BFloat16Storage" => DType::BF16,
                "DoubleStorage" => DType::F64,
                "BoolStorage" => DType::Bool,
                "ByteStorage" => DType::U8,
                "CharStorage" => DType::I8,
                "ShortStorage" => DType::I16,
                "IntStorage" => DType::I32,
                "LongStorage" => DType::I64,
                _ => return None,
            }),
            _ => return None,
        })
    }
}

impl Value {
    /// What kind of value it is, for messages.
    pub(super) fn kind(self, nodes: &[Node]) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float => "a float",
            Value::Text(_) => "a string",
            Value::Global(_) => "a class or function",
            Value::Node(at) => match nodes.get(at as usize) {
                Some(Node::Tuple(_)) => "a tuple",
                Some(Node::List(_)) => "a list",
                Some(Node::Dict(_)) => "a dict",
                Some(Node::Storage(_)) => "a storage",
                Some(Node::Tensor(_)) => "a tensor",
                None => "nothing",
            },
        }
    }
}
