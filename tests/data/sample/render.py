"""Offscreen VTK: placed models, soft floor shadows from an area light, the beauty pass and the mask pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import vtk
from models import Material, Model, turned
from PIL import Image
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

VIEW_ANGLE_DEGREES = 26.0
SUPERSAMPLING = 2


@dataclass
class Placed:
    """A model in the world: position (x, y, z) cm and yaw."""

    model: Model
    position_cm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_degrees: float = 0.0

    def world(self, points: np.ndarray) -> np.ndarray:
        return turned(points, self.yaw_degrees) + np.array(self.position_cm)

    def all_points(self) -> np.ndarray:
        return np.concatenate([self.world(p.points) for p in self.model.parts])


@dataclass
class Surface:
    """A flat textured quad that is not lit (its light is painted): origin and two edges, cm."""

    image: Image.Image
    origin: tuple[float, float, float]
    edge_u: tuple[float, float, float]
    edge_v: tuple[float, float, float]


@dataclass
class Camera:
    position: np.ndarray
    target: np.ndarray
    view_angle_degrees: float = VIEW_ANGLE_DEGREES
    window_centre: tuple[float, float] = (0.0, 0.0)


def _texture(image: Image.Image, smooth: bool = True) -> vtk.vtkTexture:
    array = np.ascontiguousarray(np.asarray(image)[::-1])
    height, width, bands = array.shape
    data = vtk.vtkImageData()
    data.SetDimensions(width, height, 1)
    values = numpy_to_vtk(array.reshape(-1, bands), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    data.GetPointData().SetScalars(values)
    texture = vtk.vtkTexture()
    texture.SetInputData(data)
    texture.SetInterpolate(smooth)
    texture.SetMipmap(smooth)
    texture.RepeatOn()
    return texture


def _polydata(
    points: np.ndarray, faces: list[list[int]], uv: np.ndarray | None, normals: np.ndarray | None
) -> vtk.vtkPolyData:
    vertices = vtk.vtkPoints()
    vertices.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float32), deep=True))
    offsets = np.concatenate([[0], np.cumsum([len(f) for f in faces])]).astype(np.int64)
    connectivity = np.concatenate([np.asarray(f) for f in faces]).astype(np.int64)
    cells = vtk.vtkCellArray()
    cells.SetData(
        numpy_to_vtk(offsets, deep=True, array_type=vtk.VTK_ID_TYPE),
        numpy_to_vtk(connectivity, deep=True, array_type=vtk.VTK_ID_TYPE),
    )
    data = vtk.vtkPolyData()
    data.SetPoints(vertices)
    data.SetPolys(cells)
    if uv is not None:
        data.GetPointData().SetTCoords(numpy_to_vtk(np.ascontiguousarray(uv, dtype=np.float32), deep=True))
    if normals is not None:
        data.GetPointData().SetNormals(
            numpy_to_vtk(np.ascontiguousarray(normals, dtype=np.float32), deep=True)
        )
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputData(data)
    triangles.Update()
    if normals is not None:
        return triangles.GetOutput()
    smooth = vtk.vtkPolyDataNormals()
    smooth.SetInputConnection(triangles.GetOutputPort())
    smooth.SetFeatureAngle(40)
    smooth.Update()
    return smooth.GetOutput()


def _actor(placed: Placed, index: int) -> vtk.vtkActor:
    part = placed.model.parts[index]
    normals = turned(part.normals, placed.yaw_degrees) if part.normals is not None else None
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(_polydata(placed.world(part.points), part.faces, part.uv, normals))
    mapper.ScalarVisibilityOff()
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    return actor


def _dress(actor: vtk.vtkActor, material: Material, has_uv: bool) -> None:
    prop = actor.GetProperty()
    colour = np.clip(np.array(material.diffuse), 0.035, 1.0) ** 0.8
    if material.texture is not None and has_uv:
        actor.SetTexture(_texture(material.texture))
        colour = np.ones(3)
        if material.texture.mode == "RGBA":
            actor.ForceOpaqueOff()
            actor.ForceTranslucentOn()
    prop.SetColor(*colour)
    prop.SetAmbient(0.40)
    prop.SetDiffuse(0.92)
    prop.SetSpecular(min(0.35, 0.08 + 0.3 * material.specular))
    prop.SetSpecularPower(float(np.clip(material.shininess, 8, 90)))
    prop.SetOpacity(float(np.clip(material.opacity, 0.15, 1.0)))


def _surface_actor(surface: Surface) -> vtk.vtkActor:
    o, u, w = (np.array(x, dtype=float) for x in (surface.origin, surface.edge_u, surface.edge_v))
    data = _polydata(
        np.array([o, o + u, o + u + w, o + w]),
        [[0, 1, 2, 3]],
        np.array([[0, 0], [1, 0], [1, 1], [0, 1]]),
        None,
    )
    mapper = vtk.vtkPolyDataMapper()
    mapper.SetInputData(data)
    actor = vtk.vtkActor()
    actor.SetMapper(mapper)
    texture = _texture(surface.image.convert("RGB"))
    texture.RepeatOff()
    texture.EdgeClampOn()
    actor.SetTexture(texture)
    actor.GetProperty().LightingOff()
    return actor


def _read(window: vtk.vtkRenderWindow) -> np.ndarray:
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()


def _window(width: int, height: int) -> tuple[vtk.vtkRenderWindow, vtk.vtkRenderer]:
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetAlphaBitPlanes(1)
    window.SetSize(width, height)
    renderer = vtk.vtkRenderer()
    window.AddRenderer(renderer)
    return window, renderer


def _apply(camera: Camera, renderer: vtk.vtkRenderer) -> None:
    view = renderer.GetActiveCamera()
    view.SetPosition(*camera.position)
    view.SetFocalPoint(*camera.target)
    view.SetViewUp(0, 1, 0)
    view.SetViewAngle(camera.view_angle_degrees)
    view.SetWindowCenter(*camera.window_centre)
    renderer.ResetCameraClippingRange()


def floor_shadow(
    objects: list[Placed],
    low_x: float,
    low_z: float,
    extent: float,
    size_px: int,
    key: tuple[float, float, float],
    seed: int = 7,
) -> np.ndarray:
    """Shadow on the floor square, (size_px, size_px) in 0..1, row 0 at the far (low z) side.

    Every light direction gives one exact planar silhouette; the mean over an area light and a dome of
    them is a soft shadow, dark where things touch the floor.
    """
    rng = np.random.default_rng(seed)
    window, renderer = _window(size_px, size_px)
    renderer.SetBackground(1, 1, 1)
    parts = []
    for placed in objects:
        for i, part in enumerate(placed.model.parts):
            if part.material.opacity > 0.5:
                actor = _actor(placed, i)
                actor.GetProperty().LightingOff()
                actor.GetProperty().SetColor(0, 0, 0)
                renderer.AddActor(actor)
                parts.append(actor)
    view = renderer.GetActiveCamera()
    view.ParallelProjectionOn()
    centre = (low_x + extent / 2, low_z + extent / 2)
    view.SetPosition(centre[0], 5000, centre[1])
    view.SetFocalPoint(centre[0], 0, centre[1])
    view.SetViewUp(0, 0, -1)
    view.SetParallelScale(extent / 2)
    view.SetClippingRange(10, 6000)
    key_direction = np.array(key) / np.linalg.norm(key)
    directions = [(key_direction + rng.normal(0, 0.10, 3), 0.55 / 16) for _ in range(16)]
    for _ in range(36):
        azimuth, z = rng.uniform(0, 2 * math.pi), rng.uniform(0.35, 0.97)
        r = math.sqrt(1 - z * z)
        directions.append((np.array([r * math.cos(azimuth), z, r * math.sin(azimuth)]), 0.45 / 36))
    total = np.zeros((size_px, size_px))
    for d, weight in directions:
        flat = vtk.vtkMatrix4x4()
        flat.SetElement(0, 1, -d[0] / d[1])
        flat.SetElement(1, 1, 1e-4)
        flat.SetElement(2, 1, -d[2] / d[1])
        for actor in parts:
            actor.SetUserMatrix(flat)
        window.Render()
        total += weight * (1.0 - _read(window)[..., 0] / 255.0)
    window.Finalize()
    return np.clip((total - 0.05) / 0.95, 0, 1)  # far, thin shadow is dropped: the backdrop stays plain


def fit_camera(
    points: np.ndarray, azimuth_degrees: float, elevation_degrees: float, aspect: float, fill: float
) -> Camera:
    """A camera that looks from there and sees the points fill that share of the frame's tighter side."""
    a, e = math.radians(azimuth_degrees), math.radians(elevation_degrees)
    back = np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    right = np.array([math.cos(a), 0, -math.sin(a)])
    up = np.cross(back, right)
    points = points[:: max(1, len(points) // 20000)]
    target = (points.min(0) + points.max(0)) / 2
    distance = np.ptp(points, axis=0).max() * 3
    tangent = math.tan(math.radians(VIEW_ANGLE_DEGREES) / 2)
    for _ in range(12):
        rel = points - target
        depth = distance - rel @ back
        x, y = rel @ right / (depth * tangent * aspect), rel @ up / (depth * tangent)
        target = target + distance * tangent * (
            aspect * (x.max() + x.min()) / 2 * right + (y.max() + y.min()) / 2 * up
        )
        distance *= max(np.ptp(x), np.ptp(y)) / 2 / fill
    return Camera(target + distance * back, target)


def picture(
    objects: list[Placed],
    surfaces: list[Surface],
    camera: Camera,
    width_px: int,
    height_px: int,
    background: tuple[int, int, int],
    scale_cm: float,
) -> Image.Image:
    """The beauty pass: three-point light tied to the camera, ambient occlusion, supersampled."""
    window, renderer = _window(width_px * SUPERSAMPLING, height_px * SUPERSAMPLING)
    renderer.SetBackground(*(c / 255 for c in background))
    renderer.TwoSidedLightingOn()
    renderer.AutomaticLightCreationOff()
    for placed in objects:
        for i, part in enumerate(placed.model.parts):
            actor = _actor(placed, i)
            _dress(actor, part.material, part.uv is not None)
            renderer.AddActor(actor)
    for surface in surfaces:
        renderer.AddActor(_surface_actor(surface))
    for position, strength, colour in (
        ((-0.8, 1.1, 1.0), 0.72, (1.0, 0.98, 0.94)),
        ((1.2, 0.5, 0.8), 0.30, (0.92, 0.96, 1.0)),
        ((0.2, 1.2, -0.9), 0.38, (1.0, 1.0, 1.0)),
    ):
        light = vtk.vtkLight()
        light.SetLightTypeToCameraLight()
        light.SetPosition(*position)
        light.SetFocalPoint(0, 0, 0)
        light.SetIntensity(strength)
        light.SetColor(*colour)
        renderer.AddLight(light)
    renderer.SetUseDepthPeeling(True)
    renderer.SetMaximumNumberOfPeels(6)
    renderer.UseSSAOOn()
    renderer.SetSSAORadius(scale_cm * 0.10)
    renderer.SetSSAOBias(scale_cm * 0.002)
    renderer.SetSSAOKernelSize(48)
    renderer.SSAOBlurOn()
    _apply(camera, renderer)
    window.Render()
    array = _read(window)
    window.Finalize()
    return Image.fromarray(array).resize((width_px, height_px), Image.Resampling.LANCZOS)


def masks(objects: list[Placed], camera: Camera, width_px: int, height_px: int) -> np.ndarray:
    """(height, width) uint8: 1 + the number of the object seen at the pixel's centre, 0 for none."""
    window, renderer = _window(width_px, height_px)
    renderer.SetBackground(0, 0, 0)
    for number, placed in enumerate(objects, start=1):
        for i, part in enumerate(placed.model.parts):
            actor = _actor(placed, i)
            prop = actor.GetProperty()
            prop.LightingOff()
            texture = part.material.texture
            if texture is not None and texture.mode == "RGBA" and part.uv is not None:
                alpha = np.asarray(texture)[..., 3] >= 128
                stencil = np.zeros((*alpha.shape, 4), np.uint8)
                stencil[..., :3] = (number * 8, 255, 255)
                stencil[..., 3] = alpha * 255
                actor.SetTexture(_texture(Image.fromarray(stencil), smooth=False))
                actor.ForceTranslucentOn()
                prop.SetColor(1, 1, 1)
            else:
                prop.SetColor(number * 8 / 255, 1, 1)
            renderer.AddActor(actor)
    renderer.SetUseDepthPeeling(True)
    renderer.SetMaximumNumberOfPeels(6)
    _apply(camera, renderer)
    window.Render()
    red = _read(window)[..., 0].astype(int)
    window.Finalize()
    return np.clip((red + 4) // 8, 0, len(objects)).astype(np.uint8)
