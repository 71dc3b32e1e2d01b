//! A group of its YAML.

use super::read::{Fields, Read, version};
use super::yaml::{Content, Fault, Node};
use super::{Aggregate, Combination, Contrast, Group};

/// A group of the mapping that a file holds.
pub(crate) fn read_group(node: &Node) -> Read<Group> {
    let fields = Fields::new(node)?;
    fields.only(&["group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"])?;
    let members = names(&fields, "task")?;
    let lists = match fields.find("aggregate_metric_list") {
        None => &[],
        Some(Node { content: Content::List(items), .. }) => items.as_slice(),
        Some(other) => std::slice::from_ref(other),
    };
    Ok(Group {
        name: fields.text("group")?.ok_or_else(|| node.fault("`group`, the name, is missing"))?,
        alias: fields.text("group_alias")?,
        members,
        aggregates: lists.iter().map(aggregate).collect::<Read<_>>()?,
        version: version(&fields)?.unwrap_or_default(),
    })
}

fn aggregate(node: &Node) -> Result<Aggregate, Fault> {
    let fields = Fields::new(node)?;
    let combination = match fields.text("aggregation")?.as_deref() {
        None | Some("mean") => Combination::Mean,
        Some("pooled") => Combination::Pooled,
        Some("difference") => {
            fields.wanted("minus")?;
            Combination::Difference(Contrast { minus: names(&fields, "minus")?, paired: fields.flag("paired")? })
        }
        Some(other) => {
            let node = fields.wanted("aggregation")?;
            return Err(node.fault(format!(
                "groups are aggregated by the `mean` of their tasks, `pooled`, over all documents of them, or by the `difference` of two \
                 halves; found `{other}`"
            )));
        }
    };
    fields.wanted("metric")?;
    let metrics = names(&fields, "metric")?;
    if matches!(combination, Combination::Pooled) && metrics.len() > 1 {
        return Err(fields.wanted("metric")?.fault("documents are pooled for one metric at a time"));
    }
    let first = metrics.first().cloned().ok_or_else(|| node.fault("`metric` is empty"))?;
    let weight_by_size = fields.find("weight_by_size").is_none() || fields.flag("weight_by_size")?;
    let as_one = names(&fields, "as_one")?;
    if weight_by_size && !as_one.is_empty() {
        return Err(fields.wanted("as_one")?.fault("`as_one` goes with `weight_by_size: false`"));
    }
    let filters = fields.find("filter_list").map(|_| names(&fields, "filter_list")).transpose()?;
    Ok(Aggregate {
        name: fields.text("name")?.unwrap_or(first),
        metrics,
        combination,
        weight_by_size,
        as_one,
        filters: filters.unwrap_or_else(|| vec!["none".to_owned()]),
    })
}

/// A name, or a list of them: a number, which a text may be elsewhere, is none.
fn names(fields: &Fields<'_>, field: &str) -> Read<Vec<String>> {
    let given = fields.find(field).map(|node| match &node.content {
        Content::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    });
    match given.into_iter().flatten().find(|node| !matches!(node.content, Content::Text(_))) {
        Some(node) => Err(node.fault(format!("a name is wanted, found {}", node.kind()))),
        None => fields.texts(field),
    }
}
