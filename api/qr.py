"""QR codes of links, for telephones that are to open a page of the service."""

import io

import segno


def qr_svg(link: str) -> str:
    """Return the QR code of a link as an `<svg>` element without a size of its own, dark on light in every theme."""
    code = segno.make(link, error="m", micro=False)
    image = io.BytesIO()
    code.save(image, kind="svg", xmldecl=False, nl=False, omitsize=True, dark="#000", light="#fff", border=4)
    return image.getvalue().decode()
