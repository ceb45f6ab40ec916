//! `summit flow`: signed influence of groups, kept in the run.

use crate::message;
use crate::network::{RunNetwork, member};
use crate::query_args::RecountArgs;
use crate::signed_args::{Count, FlowArgs, MASS};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use summit_explain::{Group, GroupSpec};
use summit_influence::{
    Ablation, GroupRequest, InfluenceError, Member, Subject, group_flow, group_scores, in_parallel,
    sample,
};
use summit_nn::flow::SignedMeasure;
use summit_query::{Questions, flow_key};
use summit_store::FlowStore;
use summit_tables::{FlowHeader, Grouping};

/// Seed of the sample: the same images for every measure.
pub const SAMPLE_SEED: u64 = 0;

pub fn run(args: &FlowArgs) -> Result<ExitCode> {
    let measure = args.measure.signed().context(
        "flow, flow-ig and lrp are measured here; conv-max is counted by `summit run`, and flow-totals \
         computed by `summit graph`",
    )?;
    let questions = Questions::open(&args.run)?;
    let groups = groups(&questions, &args.groups)?;
    RunNetwork::open(&questions, &args.recount)?.study(&questions, args.threads, |&subject| {
        let task = Task {
            subject,
            questions: &questions,
            measure,
            count: args.images_per_group,
            mass: args.mass,
            again: args.again,
        };
        if args.time {
            task.time(&groups)
        } else {
            task.measure(&groups)
        }
    })
}

/// Measures all classes of a run just made, with what was given to `summit run`.
pub fn after_run(
    run: &Path,
    measure: SignedMeasure,
    count: Count,
    threads: Option<u16>,
) -> Result<ExitCode> {
    let questions = Questions::open(run)?;
    let groups = groups(&questions, &[])?;
    let network = RunNetwork::open(&questions, &RecountArgs::default())?;
    network.study(&questions, threads, |&subject| {
        let task = Task {
            subject,
            questions: &questions,
            measure,
            count,
            mass: MASS,
            again: false,
        };
        task.measure(&groups)
    })
}

/// Groups as typed; all classes for none.
pub fn groups(questions: &Questions, texts: &[String]) -> Result<Vec<Group>> {
    if !texts.is_empty() {
        let group = |text: &String| Ok(questions.group(text)?);
        return texts.iter().map(group).collect();
    }
    let classes = questions.class_sizes(Grouping::Label).into_keys();
    classes
        .map(|class| Ok(questions.group_of(&GroupSpec::Label(class))?))
        .collect()
}

struct Task<'a> {
    subject: Subject<'a>,
    questions: &'a Questions,
    measure: SignedMeasure,
    count: Count,
    mass: f64,
    again: bool,
}

impl Task<'_> {
    fn members(&self, group: &Group) -> Vec<Member> {
        let records = sample(self.questions.members(group), self.count.0, SAMPLE_SEED);
        let members = records
            .into_iter()
            .filter_map(|record| member(group, record));
        members.collect()
    }

    fn measure(&self, groups: &[Group]) -> Result<ExitCode> {
        let store = FlowStore::of(self.questions.run());
        let name = self.measure.name();
        for group in groups {
            let key = flow_key(&group.name, &group.targets);
            if !self.again && store.read(name, &key)?.is_some() {
                continue;
            }
            let start = Instant::now();
            let members = self.members(group);
            let request = GroupRequest {
                name: &group.name,
                members: &members,
                measure: self.measure,
                mass: self.mass,
            };
            let found = group_flow(&self.subject, &request)?;
            store.write(&found.tables(FlowHeader {
                measure: name.to_owned(),
                group: key,
                images: found.images,
                mass: self.mass,
            }))?;
            message::note(&format!(
                "{name} of {}: {} in {:.1} s",
                group.name,
                message::images(found.images),
                start.elapsed().as_secs_f64()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Scores of all groups against plain runs on the same images, in turns.
    fn time(&self, groups: &[Group]) -> Result<ExitCode> {
        let plain = Ablation::new(&self.subject)?;
        let (mut forward, mut scores, mut count) = (0.0, 0.0, 0);
        for group in groups {
            let members = self.members(group);
            let start = Instant::now();
            let mut sessions: Vec<_> = (0..self.subject.threads).map(|_| plain.session()).collect();
            in_parallel(&members, &mut sessions, |session, member| {
                let image = member.image;
                let input = self.subject.images.input(image);
                let input = input.map_err(|reason| InfluenceError::Image { reason, image })?;
                let run = session.run(&input, &mut |_, _| {});
                run.map_err(|reason| InfluenceError::Run { reason, image })
            })?;
            forward += start.elapsed().as_secs_f64();
            let start = Instant::now();
            let request = GroupRequest {
                name: &group.name,
                members: &members,
                measure: self.measure,
                mass: self.mass,
            };
            group_scores(&self.subject, &request)?;
            scores += start.elapsed().as_secs_f64();
            count += members.len();
        }
        message::print(&format!(
            "{count} images: plain network {forward:.1} s, scores of all channels {scores:.1} s: {:.2} x\n",
            scores / forward
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
