"""Colours and layout of the page.

Blue against orange can be told apart by every kind of colour vision, and nothing is said by colour
alone. Text has a contrast of at least 4.5 to what it stands on, in light and in dark.
"""

from __future__ import annotations

LIGHT = {
    "page": "#f6f7f9",
    "card": "#ffffff",
    "ink": "#18212d",
    "quiet": "#566273",
    "line": "#e0e5eb",
    "strong-line": "#97a3b2",
    "blue": "#1c64a5",
    "orange": "#ac4a08",
    "grey": "#5d6a7b",
    "pale-blue": "#a9c6e3",
    "pale-grey": "#c6cdd7",
    "wash": "#eef3f9",
}
DARK = {
    "page": "#0f141a",
    "card": "#171e27",
    "ink": "#e7ecf2",
    "quiet": "#a3afbd",
    "line": "#29333f",
    "strong-line": "#5f6d7e",
    "blue": "#79b6ef",
    "orange": "#f2a06a",
    "grey": "#a3afbd",
    "pale-blue": "#3b6188",
    "pale-grey": "#465261",
    "wash": "#1b2735",
}


def _colours(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


LAYOUT = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.6 system-ui,-apple-system,
"Segoe UI",Roboto,"Noto Sans",sans-serif;font-variant-numeric:tabular-nums}
main,footer{max-width:1080px;margin:0 auto;padding:0 clamp(16px,4vw,40px)}
main{padding-top:clamp(32px,6vw,72px)}
footer{padding-top:24px;padding-bottom:56px;color:var(--quiet);font-size:15px}
h1,h2,h3,p,figure,dl,dd,ul{margin:0;padding:0}
ul{list-style:none}
h1,h2,h3,.name,.plain{overflow-wrap:anywhere}
h1 span{display:inline-block}
h1{font-size:clamp(26px,4.4vw,38px);line-height:1.2;letter-spacing:-.015em;font-weight:650}
h2,h3{font-size:23px;line-height:1.3;letter-spacing:-.01em;font-weight:650;scroll-margin-top:24px}
h2.head{font-size:30px}
section{margin-top:clamp(56px,8vw,88px)}
.of-head section{margin-top:clamp(40px,6vw,64px)}
.of-head h2+section{margin-top:24px}
section>p{max-width:68ch}
.lede{margin-top:8px;font-size:18px}
.lede+p{margin-top:6px;color:var(--quiet)}
.note,figcaption,.quiet{color:var(--quiet)}
.note{font-size:14px}
.eyebrow{color:var(--quiet);font-size:15px;margin-bottom:6px}
.card{margin-top:20px;padding:clamp(16px,2.6vw,28px);background:var(--card);
border:1px solid var(--line);border-radius:14px}
figcaption{margin-top:20px;max-width:78ch;font-size:15px;line-height:1.5}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:0 20px;
align-items:start}
.verdict{margin-top:28px;padding:clamp(20px,3vw,32px);background:var(--card);
border:1px solid var(--line);border-left:6px solid var(--tone);border-radius:14px}
.verdict{--tone:var(--grey)}
.promote{--tone:var(--blue)}.refuse{--tone:var(--orange)}
.meanings{margin-top:24px}
.badge{display:inline-block;padding:3px 14px;border-radius:99px;background:var(--tone);
color:var(--card);font-size:15px;font-weight:650;letter-spacing:.02em}
.badge::first-letter{text-transform:uppercase}
.undecidable .badge,.unknown .badge{background:none;color:var(--tone);
box-shadow:inset 0 0 0 2px var(--tone)}
.plain{margin-top:14px;font-size:clamp(20px,2.6vw,26px);line-height:1.35;letter-spacing:-.01em;
font-weight:550;max-width:40em;text-wrap:pretty}
.verdict .note{margin-top:14px;font-size:15px;max-width:78ch}
.pairs{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,210px),1fr));
gap:16px 28px}
header .pairs{margin-top:28px}
dt{color:var(--quiet);font-size:15px}
dd{overflow-wrap:anywhere}
.glossary{margin-top:20px}
.glossary .pairs{grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:24px 36px}
.glossary dt{color:var(--ink);font-weight:600;font-size:16px}
.glossary dd{color:var(--quiet);font-size:15px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,150px),1fr));gap:14px;
margin-top:28px}
.tile{padding:clamp(14px,2vw,20px);background:var(--card);border:1px solid var(--line);
border-radius:14px}
.name-of{font-size:15px;color:var(--quiet)}
.tile .value{font-size:30px;line-height:1.3;font-weight:600;letter-spacing:-.02em}
nav{margin-top:36px;padding-top:14px;border-top:1px solid var(--line)}
nav ul{display:flex;flex-wrap:wrap;gap:4px 22px;font-size:15px}
a{color:var(--blue);text-underline-offset:3px;text-decoration-thickness:1px}
nav a{display:inline-block;padding:4px 0}
:focus-visible{outline:2px solid var(--blue);outline-offset:3px;border-radius:4px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:15px;line-height:1.45}
th,td{padding:10px 14px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th:first-child{padding-left:0}
th:last-child,td:last-child{padding-right:0}
tbody tr:last-child>*{border-bottom:0}
thead th{color:var(--quiet);font-weight:500;vertical-align:bottom}
tbody th{font-weight:550}
.numbers th:not(:first-child),.numbers td{text-align:right}
.numbers td{white-space:nowrap}
.numbers tbody th{min-width:3.6em;max-width:18em}
.numbers.every tbody th{min-width:9em}
.numbers{width:auto;min-width:min(100%,480px)}
.figure{font-weight:550;white-space:nowrap}
.figure.quiet{font-weight:400}
td>.figure,td>.note,th>.note,th>.score{display:block}
th>.note{font-weight:400}
.scores td,.scores tbody th{vertical-align:middle}
.scores tbody th{width:30%}
.scores:not(.parts) td:nth-child(4),.parts td:nth-child(3){width:26%}
.scores .figure{font-size:17px}
.word{font-weight:600;white-space:nowrap}
.better{--tone:var(--blue)}.worse{--tone:var(--orange)}.open{--tone:var(--grey)}
.word{color:var(--tone)}
.word.open{font-weight:500}
svg{display:block;width:100%;overflow:visible}
svg text{font-size:14px;fill:var(--quiet)}
path,line{fill:none;vector-effect:non-scaling-stroke}
.track{height:32px;min-width:120px}
.track .rail{stroke:var(--line);stroke-width:2}
.track .reach{stroke:var(--tone);stroke-width:5;stroke-opacity:.32;stroke-linecap:round}
.track .base{stroke:var(--ink);stroke-width:2}
.track .model{fill:var(--tone)}
.matrix{table-layout:fixed;min-width:280px}
.matrix th,.matrix td{border:0;padding:4px}
.matrix th .note{display:block;white-space:nowrap}
.matrix thead th{vertical-align:bottom;overflow-wrap:anywhere}
.matrix thead th:not(:first-child){text-align:center}
.matrix tbody th{vertical-align:middle;padding-left:0}
.cell{position:relative;display:grid;place-content:center;text-align:center;min-height:76px;
border-radius:8px;overflow:hidden;background:var(--wash)}
.cell::before{content:"";position:absolute;inset:0;background:var(--blue);opacity:calc(var(--part)*.42)}
.cell>*{position:relative}
.cell .figure{font-size:18px}
.cell .note{color:var(--ink)}
.cell.right{box-shadow:inset 0 0 0 2px var(--blue)}
.grid-of{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,290px),1fr));
gap:28px 36px}
.grid-of>:only-child{max-width:560px}
.grid-of.half{grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr))}
.chart-title{font-weight:600;font-size:15px;margin-bottom:12px}
.chart-title .note{font-weight:400}
.pairs~.chart-title,.legend~.chart-title,.scroll~.chart-title,.scroll+.chart-title{margin-top:28px}
.plot{width:100%;padding:0 12px 0 56px;margin:6px 0 30px}
.plot:has(>.broad){padding-left:92px}
.plot.flush{padding:0}
.axis{margin-top:-4px;padding-left:56px}
.grid{stroke:var(--line);stroke-width:1}
.zero{stroke:var(--strong-line);stroke-width:1.5}
.shade{fill:var(--tone);fill-opacity:.18}
.level{stroke:var(--tone);stroke-width:4}
.diagonal{stroke:var(--strong-line);stroke-width:1.5;stroke-dasharray:5 5}
.rows{fill:var(--pale-grey)}
.dot line{stroke:var(--blue);stroke-width:2;stroke-opacity:.45}
.dot circle{fill:var(--blue);stroke:var(--card);stroke-width:1.5}
.price{stroke:var(--strong-line);stroke-width:1.25;stroke-linejoin:round}
.train{fill:var(--pale-blue)}.test{fill:var(--blue)}.refit{fill:var(--pale-grey)}
rect.purge{fill:var(--orange)}line.purge{stroke:var(--orange);stroke-width:3}
.map .fit{fill:var(--ink);paint-order:stroke;stroke:var(--card);stroke-width:5px}
.plot:not(.flush) .under:not(.inwards){text-anchor:middle}
.flags{margin-top:16px;max-width:68ch}
.flags li{padding:10px 16px;border-left:4px solid var(--orange);background:var(--card);
border-radius:0 10px 10px 0}
.flags li+li{margin-top:8px}
.won{--tone:var(--blue)}.lost{--tone:var(--orange)}
.trades g line{stroke:var(--tone);stroke-width:2}
.trades .lost line{stroke-dasharray:4 3}
.trades circle{fill:var(--tone);stroke:var(--tone);stroke-width:1.5}
.trades .short circle{fill:var(--card)}
.swatch.won{--s:var(--blue)}.swatch.lost{--s:var(--orange)}
.against{margin-top:14px;max-width:68ch}
.against li{margin-top:6px}
.curve{stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
path.training{stroke:var(--grey);stroke-dasharray:2 5}
path.validation{stroke:var(--blue)}
.best line{stroke:var(--orange);stroke-width:1.5;stroke-dasharray:3 4}
.best circle{fill:var(--orange);stroke:var(--card);stroke-width:2}
.bars{height:22px;min-width:120px}
.bar{fill:var(--pale-grey)}.strong .bar{fill:var(--blue)}
.bars .error{stroke:var(--ink);stroke-width:1.75}
.importance th,.importance td{padding-top:5px;padding-bottom:5px;vertical-align:middle;border:0}
.importance tbody th{width:24%;font-weight:450}
.importance td:last-child{width:1%;text-align:right}
.importance .figure{font-weight:400}
.importance thead th:last-child{text-align:right}
.shares{height:16px}
.shade-0{--s:var(--blue)}.shade-1{--s:var(--pale-blue)}.shade-2{--s:var(--strong-line)}
.shade-3{--s:var(--pale-grey)}.shade-4{--s:var(--grey)}.shade-5{--s:var(--ink)}
rect[class^=shade-]{fill:var(--s);stroke:var(--card);stroke-width:2}
.legend{display:flex;flex-wrap:wrap;gap:4px 24px;font-size:15px;color:var(--quiet)}
.shares+.legend{margin-top:8px}
.legend:first-child{margin-bottom:20px}
.swatch{display:inline-block;width:18px;height:12px;margin-right:8px;border-radius:3px;background:var(--s)}
.swatch.train{--s:var(--pale-blue)}.swatch.test{--s:var(--blue)}.swatch.refit{--s:var(--pale-grey)}
.swatch.purge{--s:var(--orange);width:5px;margin-left:6px;margin-right:14px}
.swatch.curve{height:0;border-radius:0;background:none;vertical-align:middle;
border-top:3px solid var(--blue)}
.swatch.training{border-top:3px dotted var(--grey)}
.swatch.best{--s:var(--orange);width:10px;height:10px;border-radius:9px;margin:0 12px 0 4px}
details{margin-top:20px}
summary{cursor:pointer;color:var(--blue);font-size:15px;padding:4px 0}
details>.scroll,details>table{margin-top:8px}
@media(max-width:700px){
.wide{display:none}
.stacking thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stacking,.stacking tbody{display:block}
.stacking tr{display:grid;grid-template-columns:1fr 1fr;gap:4px 16px;padding:16px 0;
border-bottom:1px solid var(--line)}
.stacking tr:first-child{padding-top:0}
.stacking tr:last-child{border:0;padding-bottom:0}
.stacking th,.stacking td,.stacking tbody th,.stacking td:nth-child(n){
padding:0;border:0;width:auto}
.scores th,.scores:not(.parts) td:nth-child(4),.scores:not(.parts) td:nth-child(5),
.parts td:nth-child(3),.parts td:nth-child(2){grid-column:1/-1}
.scores td:nth-child(2)::before,.scores:not(.parts) td:nth-child(3)::before,
.parts td:nth-child(n+4)::before{content:attr(data-label);
display:block;color:var(--quiet);font-size:14px}
.stacking.importance tr{grid-template-columns:1fr auto;padding:8px 0;border:0}
.importance td:nth-child(2){grid-column:1/-1;grid-row:2}
.numbers th,.numbers td{padding-left:8px;padding-right:8px}
.numbers th:first-child{padding-left:0}
.numbers tr>:last-child{padding-right:0}
}
@media print{
body{font-size:11pt;background:#fff}
main,footer{max-width:none;padding:0}
nav{display:none}
.card,.tile,.verdict,tr{break-inside:avoid}
h2,h3,.lede{break-after:avoid}
section{margin-top:28pt}
.cell::before,.swatch,.badge{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""

STYLE = (
    f":root{{color-scheme:light dark;{_colours(LIGHT)}}}\n"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}"
    f"{LAYOUT}"
)
