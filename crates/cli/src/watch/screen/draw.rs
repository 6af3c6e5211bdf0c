//! The drawing: a function of what is shown and of the terminal's size.

use super::model::{Asking, Model, Wish};
use crate::color::Tone;
use crate::{summary, times};
use nightshift_protocol::api::v1 as api;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Clear, Paragraph, Wrap};

/// From this width on, the selected region is beside the list instead of below it.
const WIDE: u16 = 120;
/// Below this size there is a line of numbers, and nothing else.
const SMALLEST: (u16, u16) = (24, 6);
/// What there is to press.
const KEYS: &str = "q quit  up/down region  p pause  r resume  ? help";

/// How tones look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    /// Whether colours are wanted; without them, weight alone tells tones apart.
    pub(super) colors: bool,
}

impl Palette {
    fn style(self, tone: Tone) -> Style {
        let color = |color| if self.colors { Style::new().fg(color) } else { Style::new() };
        match tone {
            Tone::Good => color(Color::Green),
            Tone::Warn => color(Color::Yellow),
            Tone::Bad => color(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Head => Style::new().add_modifier(Modifier::BOLD),
            Tone::Dim => Style::new().add_modifier(Modifier::DIM),
        }
    }

    fn span<'a>(self, tone: Option<Tone>, text: impl Into<String>) -> Span<'a> {
        Span::styled(text.into(), tone.map(|tone| self.style(tone)).unwrap_or_default())
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, palette: Palette) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        frame.render_widget(Paragraph::new(head(model, palette)), area);
        return;
    }
    let evidence = evidence(model, palette);
    let room = area.height.saturating_sub(3);
    let evidence_height = u16::try_from(evidence.len()).unwrap_or(u16::MAX).min(room / 3);
    let news_height = if area.height >= 20 {
        (room / 4).max(4)
    } else if area.height >= 12 {
        3
    } else {
        0
    };
    let [top, proof, middle, news, bottom] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(evidence_height),
        Constraint::Min(1),
        Constraint::Length(news_height),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head(model, palette)), top);
    frame.render_widget(Paragraph::new(evidence), proof);
    let (list, detail) = halves(middle);
    draw_regions(frame, list, model, palette);
    if let Some(detail) = detail {
        frame.render_widget(Paragraph::new(detail_of(model, palette)).wrap(Wrap { trim: false }), detail);
    }
    draw_news(frame, news, model, palette);
    frame.render_widget(Paragraph::new(foot(model, palette)), bottom);
    if model.helps {
        draw_help(frame, area, palette);
    }
}

/// The list, and the selected region where there is room for it.
fn halves(area: Rect) -> (Rect, Option<Rect>) {
    if area.width >= WIDE {
        let [list, gap_and_detail] =
            Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(area);
        let [_, detail] =
            Layout::horizontal([Constraint::Length(2), Constraint::Min(1)]).areas(gap_and_detail);
        return (list, Some(detail));
    }
    if area.height < 10 {
        return (area, None);
    }
    let [list, detail] = Layout::vertical([Constraint::Min(4), Constraint::Percentage(45)]).areas(area);
    (list, Some(detail))
}

/// The rollout: its state, its clock, its numbers, and whether the console answers.
fn head<'a>(model: &Model, palette: Palette) -> Text<'a> {
    let mut first = vec![palette.span(Some(Tone::Head), model.rollout.clone()), Span::raw("  ")];
    let Some(now) = &model.now else {
        first.push(palette.span(Some(Tone::Dim), "waiting for the console"));
        return Text::from(vec![Line::from(first), lost(model, palette).unwrap_or_default()]);
    };
    let state = now.state();
    first.push(palette.span(summary::tone(state).or(Some(Tone::Head)), summary::state(state).to_uppercase()));
    if !now.halted_region.is_empty() {
        first.push(palette.span(Some(Tone::Bad), format!(" in {}", now.halted_region)));
    }
    first.push(palette.span(Some(Tone::Dim), format!("  {} UTC", times::night(now.as_of))));
    let second = lost(model, palette).unwrap_or_else(|| Line::from(numbers(now, palette)));
    Text::from(vec![Line::from(first), second])
}

fn lost<'a>(model: &Model, palette: Palette) -> Option<Line<'a>> {
    let why = model.lost.as_ref()?;
    Some(Line::from(palette.span(Some(Tone::Bad), format!("NOT CONNECTED, trying again: {why}"))))
}

fn numbers<'a>(now: &api::RolloutView, palette: Palette) -> Vec<Span<'a>> {
    let regions = || now.phases.iter().flat_map(|phase| &phase.regions);
    let tally = now.tally.unwrap_or_default();
    let vms: u32 = regions().map(|region| region.vms).sum();
    let settled: u32 = regions().map(summary::settled).sum();
    let mut spans = vec![Span::raw(format!("{settled} of {vms} VMs"))];
    let in_flight: u32 = regions().map(|region| region.in_flight).sum();
    let soaking: u32 = regions().map(|region| region.soaking).sum();
    for (count, what, tone) in [
        (in_flight, "in flight", Tone::Head),
        (soaking, "soaking", Tone::Head),
        (tally.healthy, "healthy", Tone::Good),
        (tally.failed, "FAILED", Tone::Bad),
        (tally.skipped, "skipped", Tone::Warn),
        (tally.deferred, "deferred", Tone::Warn),
    ] {
        if count > 0 {
            spans.push(Span::raw("  "));
            spans.push(palette.span(Some(tone), format!("{count} {what}")));
        }
    }
    spans
}

/// What a halt rests on.
fn evidence<'a>(model: &Model, palette: Palette) -> Vec<Line<'a>> {
    let Some(now) = model.now.as_ref().filter(|now| !now.why.is_empty()) else { return Vec::new() };
    let mut lines = vec![Line::from(palette.span(Some(Tone::Bad), now.why.clone()))];
    if let Some(evidence) = &now.evidence {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = summary::write_evidence(&mut text, now.halted_phase, evidence);
        lines.extend(text.lines().map(|line| Line::from(line.to_owned())));
    }
    lines
}

/// A heading for each phase, a line for each region; scrolled so that the selected one is seen.
fn draw_regions(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let Some(now) = &model.now else { return };
    let (mut lines, mut selected_line, mut place) = (Vec::new(), 0, 0);
    for phase in &now.phases {
        lines.push(phase_line(phase, palette));
        for region in &phase.regions {
            let line = region_line(phase, region, area.width, palette);
            let is_selected = place == model.selected;
            if is_selected {
                selected_line = lines.len();
            }
            let mark = if is_selected { "> " } else { "  " };
            let mut spans = vec![Span::raw(mark)];
            spans.extend(line.spans);
            let line = Line::from(spans);
            lines.push(if is_selected {
                line.patch_style(Style::new().add_modifier(Modifier::REVERSED))
            } else {
                line
            });
            place += 1;
        }
    }
    let height = usize::from(area.height);
    let top = selected_line.saturating_sub(height / 2).min(lines.len().saturating_sub(height));
    let seen: Vec<Line<'_>> = lines.into_iter().skip(top).take(height).collect();
    frame.render_widget(Paragraph::new(seen), area);
}

fn phase_line<'a>(phase: &api::PhaseView, palette: Palette) -> Line<'a> {
    let state = phase.state();
    let tone = match state {
        api::PhaseState::Passed => Some(Tone::Good),
        api::PhaseState::Failed => Some(Tone::Bad),
        _ => None,
    };
    let mut spans = vec![
        palette.span(Some(Tone::Head), format!("Phase {} ", phase.number)),
        palette.span(tone, summary::phase_state(state)),
    ];
    if phase.approval_needed {
        spans.push(palette.span(Some(Tone::Warn), ", waits for a person's approval"));
    }
    Line::from(spans)
}

/// As much of a region as there is room for: its name and numbers always, then a bar, then where its VMs stand.
fn region_line<'a>(
    phase: &api::PhaseView,
    region: &api::RegionView,
    width: u16,
    palette: Palette,
) -> Line<'a> {
    let settled = summary::settled(region);
    let failed = region.tally.unwrap_or_default().failed;
    let turn = if region.turn { "*" } else { " " };
    let mut spans = vec![Span::raw(turn)];
    if width >= 50 {
        spans.push(Span::raw(format!("{:<17} ", region.region)));
        let length = if width >= 80 { 20 } else { 10 };
        spans.push(Span::raw(bar(settled, region.vms, length)));
        spans.push(Span::raw(format!(" {settled:>4}/{:<4} ", region.vms)));
        let tone = if failed > 0 {
            Some(Tone::Bad)
        } else if region.turn {
            None
        } else {
            Some(Tone::Dim)
        };
        spans.push(palette.span(tone, summary::counts(phase, region)));
    } else {
        spans.push(Span::raw(format!("{:<16} {settled}/{}", region.region, region.vms)));
        if failed > 0 {
            spans.push(palette.span(Some(Tone::Bad), format!(" {failed} FAILED")));
        }
    }
    Line::from(spans)
}

fn bar(done: u32, of: u32, length: u32) -> String {
    let full = (done.min(of) * length).checked_div(of).unwrap_or(0);
    let (full, rest) = (full as usize, (length - full) as usize);
    format!("[{}{}]", "=".repeat(full), " ".repeat(rest))
}

/// The selected region: why it is where it is, what it waits for, and who did not end healthy.
fn detail_of<'a>(model: &Model, palette: Palette) -> Vec<Line<'a>> {
    let Some((phase, region)) = model.region() else { return Vec::new() };
    let mut lines = vec![Line::from(vec![
        palette.span(Some(Tone::Head), region.region.clone()),
        Span::raw(format!("  phase {}: {}", phase.number, region.why)),
    ])];
    let turn = match (region.turn, region.stage.is_empty()) {
        (true, true) => "has its turn".to_owned(),
        (true, false) => format!("has its turn: {}", region.stage),
        (false, _) => "has no turn now".to_owned(),
    };
    let round = if region.round > 1 { format!(", round {}", region.round) } else { String::new() };
    lines.push(Line::from(format!("{turn}{round}; {} wait", region.waiting)));
    if let Some(actor) = &region.skipped_by {
        let text = format!("taken out of the rollout by {}: {}", actor.name, actor.reason);
        lines.push(Line::from(palette.span(Some(Tone::Warn), text)));
    }
    if phase.state() != api::PhaseState::Passed {
        lines.extend(phase.gate.iter().map(|one| condition("phase", one, palette)));
    }
    for gate in &region.gates {
        lines.extend(gate.conditions.iter().map(|one| condition(&gate.whole, one, palette)));
    }
    for exception in &region.exceptions {
        let standing = exception.progress();
        lines.push(Line::from(vec![
            Span::raw(format!("{:<16} ", exception.vm)),
            palette.span(summary::progress_tone(standing), summary::progress(standing)),
            Span::raw(format!(": {}", exception.why)),
        ]));
    }
    lines
}

fn condition<'a>(whole: &str, condition: &api::Condition, palette: Palette) -> Line<'a> {
    let tone = match condition.state() {
        api::ConditionState::Met => Some(Tone::Good),
        api::ConditionState::Closed => Some(Tone::Bad),
        _ => None,
    };
    Line::from(palette.span(tone, format!("{whole}: {}", summary::condition(condition))))
}

/// The newest last, as in a log.
fn draw_news(frame: &mut Frame<'_>, area: Rect, model: &Model, palette: Palette) {
    let room = usize::from(area.height);
    if room == 0 {
        return;
    }
    let mut lines = vec![Line::from(palette.span(Some(Tone::Head), "Newest"))];
    let newest = model.said.iter().skip(model.said.len().saturating_sub(room - 1));
    lines.extend(newest.map(|line| {
        Line::from(vec![
            palette.span(Some(Tone::Dim), format!("{}  ", line.at)),
            Span::raw(line.text.clone()),
        ])
    }));
    frame.render_widget(Paragraph::new(lines), area);
}

/// What a key would do now, a question, or what came of the last wish.
fn foot<'a>(model: &Model, palette: Palette) -> Line<'a> {
    if let Some(Asking { wish, reason }) = &model.asking {
        let question = match wish {
            Wish::Pause => "Pause it",
            Wish::Resume => "Let it go on; failures are thereby accepted",
        };
        return Line::from(vec![
            palette.span(Some(Tone::Warn), format!("{question}? Why: ")),
            Span::raw(format!("{reason}_")),
            palette.span(Some(Tone::Dim), "   Enter yes, Esc no"),
        ]);
    }
    if let Some((tone, note)) = &model.note {
        return Line::from(vec![
            palette.span(Some(*tone), note.clone()),
            palette.span(Some(Tone::Dim), format!("   {KEYS}")),
        ]);
    }
    Line::from(palette.span(Some(Tone::Dim), KEYS))
}

fn draw_help(frame: &mut Frame<'_>, area: Rect, palette: Palette) {
    let lines = vec![
        Line::from(palette.span(Some(Tone::Head), "Keys")),
        Line::from("q, Esc, Ctrl-C   quit; the rollout goes on"),
        Line::from("up, down, k, j    select a region"),
        Line::from("PgUp, PgDn        ten at a time; Home, End"),
        Line::from("p                 pause: no new order"),
        Line::from("r                 resume a paused or halted one"),
        Line::from("*                 this region has its turn"),
        Line::from(palette.span(Some(Tone::Dim), "any key closes this")),
    ];
    let width = area.width.min(52);
    let height = area.height.min(u16::try_from(lines.len()).unwrap_or(u16::MAX));
    let place = Rect::new((area.width - width) / 2, (area.height - height) / 2, width, height);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines), place);
}
