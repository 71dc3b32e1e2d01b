//! The operations that ranks share, asked of the thread that talks to MPI.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};

use gptneo_device::collective::{CollectiveError, Pending};
use gptneo_device::{Collective, Device};

use crate::world::Order;

/// The ranks of a run, over MPI.
#[derive(Debug)]
pub struct Ranks {
    orders: Option<Sender<Order>>,
    rank: usize,
    size: usize,
    tickets: u64,
    pending: HashMap<u64, Receiver<Vec<f32>>>,
}

impl Ranks {
    pub(crate) fn new(orders: Option<Sender<Order>>, rank: usize, size: usize) -> Self {
        Self { orders, rank, size, tickets: 0, pending: HashMap::new() }
    }

    /// Waits for all ranks.
    ///
    /// # Errors
    /// If MPI has ended.
    pub fn meet(&mut self) -> Result<(), CollectiveError> {
        self.ask("wait for the others", Order::Barrier)
    }

    /// Gives an order, and waits for what comes back.
    fn ask<T>(&self, what: &'static str, order: impl FnOnce(Sender<T>) -> Order) -> Result<T, CollectiveError> {
        let answer = self.order(what, order)?;
        self.answer(what, &answer)
    }

    /// Gives an order; what comes back is for [`Ranks::answer`].
    fn order<T>(
        &self,
        what: &'static str,
        order: impl FnOnce(Sender<T>) -> Order,
    ) -> Result<Receiver<T>, CollectiveError> {
        let (reply, answer) = channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order(reply)).is_ok());
        if sent { Ok(answer) } else { Err(self.ended(what)) }
    }

    fn answer<T>(&self, what: &'static str, answer: &Receiver<T>) -> Result<T, CollectiveError> {
        answer.recv().map_err(|_| self.ended(what))
    }

    fn ended(&self, what: &'static str) -> CollectiveError {
        CollectiveError { rank: self.rank, what, why: "MPI has ended in this process".to_owned() }
    }
}

impl<D: Device> Collective<D> for Ranks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_reduce_start(
        &mut self,
        device: &D,
        buffer: &D::Buffer,
        range: Range<usize>,
    ) -> Result<Pending, CollectiveError> {
        let values = read(device, buffer, &range);
        let answer = self.order("sum gradients", |reply| Order::AllReduce(values, reply))?;
        self.tickets += 1;
        self.pending.insert(self.tickets, answer);
        Ok(Pending { range, ticket: self.tickets })
    }

    fn all_reduce_wait(&mut self, device: &D, buffer: &mut D::Buffer, pending: Pending) -> Result<(), CollectiveError> {
        let Some(answer) = self.pending.remove(&pending.ticket) else {
            let why = format!("sum {} was never begun, or has been waited for", pending.ticket);
            return Err(CollectiveError { rank: self.rank, what: "wait for a sum", why });
        };
        let sums = self.answer("wait for a sum", &answer)?;
        device.write(buffer, pending.range.start, &sums);
        Ok(())
    }

    fn reduce_scatter(
        &mut self,
        device: &D,
        buffer: &mut D::Buffer,
        shards: &[Range<usize>],
    ) -> Result<(), CollectiveError> {
        for (root, shard) in shards.iter().enumerate() {
            let values = read(device, buffer, shard);
            let sums = self.ask("sum gradients", |reply| Order::Reduce { values, root, reply })?;
            if root == self.rank {
                device.write(buffer, shard.start, &sums);
            }
        }
        Ok(())
    }

    fn all_gather(
        &mut self,
        device: &D,
        buffer: &mut D::Buffer,
        shards: &[Range<usize>],
    ) -> Result<(), CollectiveError> {
        for (root, shard) in shards.iter().enumerate() {
            Collective::<D>::broadcast(self, device, buffer, shard.clone(), root)?;
        }
        Ok(())
    }

    fn broadcast(
        &mut self,
        device: &D,
        buffer: &mut D::Buffer,
        range: Range<usize>,
        root: usize,
    ) -> Result<(), CollectiveError> {
        let mine = if root == self.rank { read(device, buffer, &range) } else { vec![0.0; range.len()] };
        let values = self.ask("share values", |reply| Order::Broadcast { values: mine, root, reply })?;
        if root != self.rank {
            device.write(buffer, range.start, &values);
        }
        Ok(())
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), CollectiveError> {
        let all = self.ask("add numbers up", |reply| Order::Gather(values.to_vec(), reply))?;
        let each = values.len().max(1);
        for (index, value) in values.iter_mut().enumerate() {
            *value = all.iter().skip(index).step_by(each).sum();
        }
        Ok(())
    }

    fn barrier(&mut self) -> Result<(), CollectiveError> {
        self.meet()
    }
}

fn read<D: Device>(device: &D, buffer: &D::Buffer, range: &Range<usize>) -> Vec<f32> {
    let mut values = vec![0.0; range.len()];
    device.read(buffer, range.start, &mut values);
    values
}
