//! What the few callables of a state dict mean: storages, tensors, ordered dicts.

use super::View;
use super::pickle::Machine;
use super::value::{Global, Node, Storage, Tensor, Value};
use crate::error::{Fault, printable};
use crate::tensor::MAX_RANK;

impl Machine<'_> {
    pub(super) fn push_global(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        match Global::named(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => {
                let asked = printable(&format!("{module}.{name}"));
                Err(self.fault(format_args!("the name `{asked}`, which reading weights does not need")))
            }
        }
    }

    /// A persistent id: `("storage", type, key, location, length)`.
    pub(super) fn storage(&self, id: Value) -> Result<Storage, Fault> {
        let &[Value::Text(tag), Value::Global(Global::StorageType(dtype)), Value::Text(key), Value::Text(_), len] =
            self.tuple(id)?
        else {
            return Err(self.fault("a persistent id that names no storage"));
        };
        if self.text(tag) != "storage" {
            return Err(self.fault(format_args!("a persistent id of kind `{}`", printable(self.text(tag)))));
        }
        Ok(Storage { dtype, key, len: self.size(len)? })
    }

    /// Applies a callable to a tuple of arguments.
    pub(super) fn reduce(&mut self) -> Result<(), Fault> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Value::Global(callable) = callable else {
            return Err(self.fault(format_args!("a call of {}", callable.kind(&self.nodes))));
        };
        match callable {
            Global::OrderedDict => {
                if !self.tuple(arguments)?.is_empty() {
                    return Err(self.fault("OrderedDict with arguments"));
                }
                self.push_node(Node::Dict(Vec::new()))
            }
            Global::RebuildTensor => {
                let tensor = self.tensor(self.tuple(arguments)?)?;
                self.push_node(Node::Tensor(Box::new(tensor)))
            }
            Global::RebuildParameter => {
                let &[data, Value::Bool, _hooks] = self.tuple(arguments)? else {
                    return Err(self.fault("_rebuild_parameter with other arguments than (tensor, boolean, hooks)"));
                };
                match self.node(data) {
                    Some(Node::Tensor(_)) => self.push(data),
                    _ => Err(self.fault(format_args!("a parameter made of {}", data.kind(&self.nodes)))),
                }
            }
            Global::StorageType(dtype) => Err(self.fault(format_args!("a call of the storage type of {dtype}"))),
        }
    }

    /// `(storage, offset, size, stride, requires_grad, backward_hooks[, metadata])`.
    fn tensor(&self, arguments: &[Value]) -> Result<Tensor, Fault> {
        let &[storage, offset, shape, strides, Value::Bool, _hooks, ref metadata @ ..] = arguments else {
            return Err(
                self.fault(format_args!("_rebuild_tensor_v2 with {} arguments of other kinds", arguments.len()))
            );
        };
        let Some(&Node::Storage(storage)) = self.node(storage) else {
            return Err(self.fault(format_args!("a tensor made of {}", storage.kind(&self.nodes))));
        };
        // Metadata says that values are to be negated or conjugated on reading.
        let plain = match *metadata {
            [] | [Value::None] => true,
            [other] => matches!(self.node(other), Some(Node::Dict(items)) if items.is_empty()),
            _ => false,
        };
        if !plain {
            return Err(self.fault("a tensor with metadata"));
        }
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        if shape.len() != strides.len() {
            return Err(self.fault(format_args!("{} axes with {} strides", shape.len(), strides.len())));
        }
        Ok(Tensor { storage, offset: self.size(offset)?, shape, strides })
    }

    fn sizes(&self, value: Value) -> Result<Vec<usize>, Fault> {
        let items = self.tuple(value)?;
        if items.len() > MAX_RANK {
            return Err(self.fault(format_args!("{} axes; at most {MAX_RANK} are read", items.len())));
        }
        items.iter().map(|&item| self.size(item)).collect()
    }

    fn size(&self, value: Value) -> Result<usize, Fault> {
        match value {
            Value::Int(size) => {
                usize::try_from(size).map_err(|_| self.fault(format_args!("the size {size}, which cannot be")))
            }
            other => Err(self.fault(format_args!("{} as a size", other.kind(&self.nodes)))),
        }
    }

    /// Attributes of an ordered dict (`_metadata`, the versions of modules): not needed, and let go.
    pub(super) fn build(&mut self) -> Result<(), Fault> {
        let (state, object) = (self.pop()?, self.pop()?);
        match (self.node(object), self.node(state)) {
            (Some(Node::Dict(_)), Some(Node::Dict(_))) => self.push(object),
            _ => {
                Err(self.fault(format_args!("BUILD of {} with {}", object.kind(&self.nodes), state.kind(&self.nodes))))
            }
        }
    }

    fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(at) => self.nodes.get(at as usize),
            _ => None,
        }
    }

    fn tuple(&self, value: Value) -> Result<&[Value], Fault> {
        match self.node(value) {
            Some(Node::Tuple(items)) => Ok(items),
            _ => Err(self.fault(format_args!("{} in place of a tuple", value.kind(&self.nodes)))),
        }
    }

    /// The tensors of the finished dict.
    pub(super) fn views(&self, root: Value) -> Result<Vec<View>, Fault> {
        let Some(Node::Dict(items)) = self.node(root) else {
            let found = root.kind(&self.nodes);
            return Err(Fault::structure("data.pkl", "a state dict, tensors by name", found));
        };
        let mut views = Vec::new();
        for &(key, value) in items {
            let Value::Text(name) = key else {
                let found = format_args!("{} as a key", key.kind(&self.nodes)).to_string();
                return Err(Fault::structure("data.pkl", "a state dict, tensors by name", found));
            };
            let Some(Node::Tensor(tensor)) = self.node(value) else {
                let found =
                    format_args!("{}: save the state dict of the model alone", value.kind(&self.nodes)).to_string();
                return Err(Fault::tensor(self.text(name), "a tensor", found));
            };
            views.push(View {
                name: self.text(name).to_owned(),
                dtype: tensor.storage.dtype,
                storage: self.text(tensor.storage.key).to_owned(),
                storage_len: tensor.storage.len,
                offset: tensor.offset,
                shape: tensor.shape.clone(),
                strides: tensor.strides.clone(),
            });
        }
        Ok(views)
    }
}
